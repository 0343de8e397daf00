// The browser of examples. Whatever comes from a source is set as text: nothing here parses markup.
const data = JSON.parse(document.getElementById("shown").textContent);
const at = (id) => document.getElementById(id);
const PAGE = 60;
// Places in the rows that browser.py writes.
const [ID, TEXT, SPLIT, FATE, REASON, WANTED, GOT] = [0, 1, 2, 3, 4, 5, 6];
const [DOC, RANK, MINER, MINER_RANK, SCORE, POSITIVE, CHANCE, SOURCE, DRAWN, SCORES] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9];

const queries = data.queries;
const words = queries.map((query) =>
  [query.about[ID], query.about[TEXT]]
    .concat([...query.positives, ...query.negatives, ...query.rejected].flatMap((row) => data.documents[row[DOC]]))
    .join("\n")
    .toLowerCase(),
);
const gapOf = (row) => (row[SCORE] === null || row[POSITIVE] === null ? Infinity : row[POSITIVE] - row[SCORE]);
const pairs = queries.flatMap((_, query) => queries[query].negatives.map((_, place) => ({ query, place })));
const rowOf = (item) => queries[item.query].negatives[item.place];
// Sorting is stable, so that ties stay in the order of queries and ranks.
const orders = {
  near: [...pairs].sort((one, other) => gapOf(rowOf(one)) - gapOf(rowOf(other)) || 0),
  lot: pairs.filter((item) => rowOf(item)[DRAWN] !== null).sort((a, b) => rowOf(a)[DRAWN] - rowOf(b)[DRAWN]),
  query: queries.map((_, query) => ({ query, place: 0 })),
};

const votes = new Map();
// The last place in the draw that was voted on in its own order. Up to there the lot chose what was voted on; beyond
// it the rater did, by looking for what is suspicious or by searching.
let reached = -1;
const keyOf = (query, doc) => query + "\u0000" + doc;
const voteKey = (item) => keyOf(queries[item.query].about[ID], data.documents[rowOf(item)[DOC]][0]);
let found = [];
let current = 0;
let listed = PAGE;

function make(name, attributes, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    element.setAttribute(key, value);
  }
  element.append(...children);
  return element;
}

const number = (value, digits) => (value === null ? "" : value.toFixed(digits));
const chip = (text, kind) => make("span", { class: "chip " + kind }, text);

// Votes outlive a reload where the browser lets a file keep anything.
const KEPT = "negset votes " + data.version;
function keepVotes() {
  try {
    localStorage.setItem(KEPT, JSON.stringify({ rater: at("rater").value, reached, votes: [...votes] }));
  } catch {
    at("done").dataset.kept = "no";
  }
}
function recallVotes() {
  try {
    const kept = JSON.parse(localStorage.getItem(KEPT) || "null");
    at("rater").value = kept ? kept.rater : "";
    reached = kept ? kept.reached : -1;
    for (const [key, vote] of kept ? kept.votes : []) {
      votes.set(key, vote);
    }
  } catch {
    votes.clear();
  }
}

function find() {
  const wanted = at("search").value.trim().toLowerCase().split(/\s+/).filter(Boolean);
  const fate = at("fate").value;
  const rule = at("rule").value;
  const voted = new Set([...votes.keys()].map((key) => key.split("\u0000")[0]));
  const fits = queries.map(
    (query, place) =>
      wanted.every((word) => words[place].includes(word)) &&
      (!fate || (fate === "voted" ? voted.has(query.about[ID]) : query.about[FATE] === fate)) &&
      (!rule || query.ends.some(([name]) => name === rule)),
  );
  found = orders[at("order").value].filter((item) => fits[item.query]);
  current = 0;
  listed = PAGE;
  const about = new Set(found.map((item) => item.query)).size;
  const unit = at("order").value === "query" ? "" : found.length.toLocaleString("en") + " negatives of ";
  at("found").textContent = found.length
    ? "Found " + unit + about.toLocaleString("en") + (about === 1 ? " query." : " queries.")
    : "Nothing found: try fewer words, or other filters.";
  list();
  show();
}

function entry(item, place) {
  const about = queries[item.query].about;
  const row = rowOf(item);
  const byQuery = at("order").value === "query";
  const facts = byQuery || !row ? about[FATE] + " · " + about[GOT] + " of " + about[WANTED] : pairFacts(item, row);
  const button = make("button", { type: "button" }, make("span", {}, about[TEXT]), make("small", {}, facts));
  button.addEventListener("click", () => go(place));
  return make("li", {}, button);
}

function pairFacts(item, row) {
  const gap = gapOf(row);
  const side = gap === Infinity ? "no score" : number(Math.abs(gap), 4) + (gap > 0 ? " below" : " above") + " its positive";
  const vote = votes.get(voteKey(item));
  return "negative " + row[RANK] + " · " + side + (vote ? " · voted " + vote : "");
}

function list() {
  const inside = at("matches").contains(document.activeElement);
  at("matches").replaceChildren(...found.slice(0, listed).map(entry));
  at("more").hidden = found.length <= listed;
  mark();
  if (inside) {
    at("matches").children[current]?.firstChild.focus();
  }
}

function mark() {
  [...at("matches").children].forEach((line, place) => {
    line.firstChild.setAttribute("aria-current", String(place === current));
  });
}

function go(place) {
  if (place < 0 || place >= found.length) {
    return;
  }
  current = place;
  if (place >= listed) {
    listed = Math.ceil((place + 1) / PAGE) * PAGE;
    list();
  }
  mark();
  const line = at("matches").children[place];
  const box = at("matches");
  if (box.contains(document.activeElement)) {
    line.firstChild.focus();
  }
  if (line.offsetTop < box.scrollTop || line.offsetTop + line.offsetHeight > box.scrollTop + box.clientHeight) {
    box.scrollTop = line.offsetTop - box.clientHeight / 3;
  }
  show();
  at("card").querySelector(".negative[aria-current]")?.scrollIntoView({ block: "nearest", behavior: "instant" });
}

function show() {
  at("previous").disabled = current <= 0;
  at("next").disabled = current >= found.length - 1;
  at("place").textContent = found.length ? (current + 1).toLocaleString("en") + " of " + found.length.toLocaleString("en") : "";
  const item = found[current];
  at("card").replaceChildren(...(item ? [card(item)] : []));
}

function card(item) {
  const query = queries[item.query];
  const about = query.about;
  const chosen = at("order").value === "query" ? -1 : item.place;
  const reason = about[REASON] ? " · " + about[REASON] : "";
  const head = make(
    "header",
    {},
    make("h3", { id: "asked" }, about[TEXT]),
    chip(about[FATE] + " · " + about[GOT] + " of " + about[WANTED] + reason, about[FATE]),
    chip(about[SPLIT], "plain"),
    make("code", {}, about[ID]),
  );
  const positives = query.positives.map((row) => positive(row));
  const negatives = query.negatives.map((row, place) => negative(query, row, place === chosen));
  const none = make("p", { class: "quiet" }, "It got no negatives.");
  const sides = make(
    "div",
    { class: "sides" },
    make("section", { "aria-label": "Positives" }, make("h4", {}, count(positives.length, "positive")), ...positives),
    make(
      "section",
      { "aria-label": "Negatives" },
      make("h4", {}, count(negatives.length, "negative")),
      ...(negatives.length ? negatives : [none]),
    ),
  );
  return make("article", { "aria-labelledby": "asked", tabindex: "-1" }, head, sides, ...rejections(query));
}

const count = (many, what) => many.toLocaleString("en") + " " + what + (many === 1 ? "" : "s");

function passage(row, facts, kind, left) {
  const [doc, text] = data.documents[row[DOC]];
  const small = make("small", {}, make("code", {}, doc), ...facts.map((fact) => " · " + fact));
  return make("div", { class: "passage " + kind }, make("div", {}, ...left), make("div", {}, make("p", {}, text), small));
}

function positive(row) {
  const [, relevance, score, source] = row;
  const facts = [source + ", relevance " + relevance, ...(score === null ? [] : ["scores " + number(score, 3)])];
  return passage(row, facts, "positive", [make("b", {}, "+")]);
}

function negative(query, row, chosen) {
  const facts = [row[MINER] + (row[MINER_RANK] === null ? "" : " at rank " + row[MINER_RANK])];
  if (row[SCORE] !== null) {
    const share = row[POSITIVE] > 0 ? ", " + Math.round((100 * row[SCORE]) / row[POSITIVE]) + "% of it" : "";
    const gap = gapOf(row);
    const beside = gap === Infinity ? "" : ", " + number(Math.abs(gap), 3) + (gap > 0 ? " below" : " above");
    facts.push("scores " + number(row[SCORE], 3) + beside + (beside ? " its positive" + share : ""));
  }
  if (row[CHANCE] !== null) {
    facts.push("drawn with chance " + row[CHANCE].toPrecision(3));
  }
  if (row[SOURCE] !== "mined") {
    facts.push(row[SOURCE]);
  }
  const others = data.scores.map((name, place) => [name, row[SCORES + place]]).filter(([, value]) => value !== null);
  if (others.length) {
    facts.push(others.map(([name, value]) => name + " " + number(value, 3)).join(", "));
  }
  if (row[DRAWN] !== null) {
    facts.push("drawn by lot");
  }
  const made = passage(row, facts, "negative", [make("b", {}, String(row[RANK]))]);
  made.lastChild.append(ballot(query, row));
  if (chosen) {
    made.setAttribute("aria-current", "true");
  }
  return made;
}

function ballot(query, row) {
  const doc = data.documents[row[DOC]][0];
  const key = keyOf(query.about[ID], doc);
  const buttons = data.words.map((word) =>
    make("button", { type: "button", value: word, "aria-pressed": String(votes.get(key) === word) }, word),
  );
  for (const button of buttons) {
    button.addEventListener("click", () => {
      vote(key, button.value);
      for (const other of buttons) {
        other.setAttribute("aria-pressed", String(votes.get(key) === other.value));
      }
    });
  }
  const label = "Does negative " + row[RANK] + ", " + doc + ", answer the query?";
  return make("div", { class: "votes", role: "group", "aria-label": label }, "Does it answer the query? ", ...buttons);
}

function vote(key, word) {
  if (votes.get(key) === word) {
    votes.delete(key);
  } else {
    votes.set(key, word);
    reach(key);
  }
  keepVotes();
  tell();
  list();
}

function reach(key) {
  const item = found[current];
  const filtered = ["search", "fate", "rule"].some((id) => at(id).value.trim());
  if (at("order").value === "lot" && !filtered && voteKey(item) === key) {
    reached = Math.max(reached, rowOf(item)[DRAWN]);
  }
}

function tell() {
  at("done").textContent = count(votes.size, "vote");
  at("clear").disabled = !votes.size;
}

function rejections(query) {
  const rule = at("rule").value;
  if (!query.ends.length) {
    return [];
  }
  const totals = query.ends.map(([name, many]) => (name === null ? many + " survived, not chosen" : many + " " + name));
  const rows = query.rejected.filter((row) => !rule || row[1] === rule).map(rejection);
  const head = ["rule", "value, limit", "candidate"].map((name) => make("th", { scope: "col" }, name));
  const table = make(
    "table",
    { class: "rejections" },
    make("caption", { class: "unseen" }, "Rejected candidates"),
    make("thead", {}, make("tr", {}, ...head)),
    make("tbody", {}, ...rows),
  );
  const opened = rule ? { open: "" } : {};
  return [make("details", opened, make("summary", {}, "Other candidates: " + totals.join(", ")), ...(rows.length ? [table] : []))];
}

function rejection(row) {
  const [place, rule, miner, rank, , value, limit] = row;
  const [doc, text] = data.documents[place];
  const said = data.reasons[rule] || "";
  const measured = [
    ...(value === null ? [] : ["value " + number(value, 3)]),
    ...(limit === null ? [] : ["limit " + number(limit, 3)]),
    miner + (rank === null ? "" : " " + rank),
  ];
  return make(
    "tr",
    {},
    make("td", {}, chip(rule, "rejected"), make("small", {}, said)),
    make("td", { class: "number" }, ...measured.map((line) => make("div", {}, line))),
    make("td", {}, make("p", {}, text), make("small", {}, make("code", {}, doc))),
  );
}

function save() {
  const rater = at("rater").value.trim();
  if (!rater || !votes.size) {
    at("done").textContent = rater ? "vote on a negative first" : "write who votes first";
    (rater ? at("next") : at("rater")).focus();
    return;
  }
  const drawn = new Set(orders.lot.filter((item) => rowOf(item)[DRAWN] <= reached).map(voteKey));
  const rows = [...votes].map(([key, word]) => [data.version, ...key.split("\u0000"), rater, word, drawn.has(key) ? "yes" : "no"]);
  saveVotes(["version", "query_id", "doc_id", "rater", "vote", "drawn"], rows, rater);
}

function press(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) {
    return;
  }
  const steps = { j: 1, k: -1 };
  const word = data.words.find((one) => one[0] === event.key);
  const item = found[current];
  if (event.key in steps) {
    go(current + steps[event.key]);
  } else if (word && item && at("order").value !== "query") {
    vote(voteKey(item), word);
    show();
  } else {
    return;
  }
  event.preventDefault();
  if (!at("browser").contains(document.activeElement)) {
    at("card").firstChild?.focus({ preventScroll: true });
  }
}

recallVotes();
for (const id of ["search", "order", "fate", "rule"]) {
  at(id).addEventListener("input", find);
}
at("previous").addEventListener("click", () => go(current - 1));
at("next").addEventListener("click", () => go(current + 1));
at("more").addEventListener("click", () => {
  listed += PAGE;
  list();
});
at("rater").addEventListener("input", keepVotes);
at("save").addEventListener("click", save);
at("clear").addEventListener("click", () => {
  votes.clear();
  reached = -1;
  keepVotes();
  tell();
  list();
  show();
});
for (const place of document.querySelectorAll(".steps-bar, #card, #matches")) {
  place.addEventListener("keydown", press);
}
tell();
find();
at("browser").hidden = false;
