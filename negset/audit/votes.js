const cards = [...document.querySelectorAll("article[data-query]")];

function tell() {
  const done = cards.filter((card) => card.dataset.vote).length;
  document.getElementById("done").textContent = done + " of " + cards.length;
}

for (const card of cards) {
  const buttons = [...card.querySelectorAll("button")];
  for (const button of buttons) {
    button.addEventListener("click", () => {
      const again = card.dataset.vote === button.value;
      card.dataset.vote = again ? "" : button.value;
      for (const other of buttons) {
        other.setAttribute("aria-pressed", String(!again && other === button));
      }
      tell();
    });
  }
}

document.getElementById("save").addEventListener("click", () => {
  const rater = document.getElementById("rater").value.trim();
  if (!rater) {
    document.getElementById("rater").focus();
    document.getElementById("done").textContent = "write who votes first";
    return;
  }
  const version = document.body.querySelector("main").dataset.version;
  const rows = cards
    .filter((card) => card.dataset.vote)
    .map((card) => [version, card.dataset.query, card.dataset.doc, rater, card.dataset.vote]);
  saveVotes(["version", "query_id", "doc_id", "rater", "vote"], rows, rater);
});

tell();
