"use strict";
// Saves votes as the file that `negset audit --votes` reads; every page on which one votes begins with this.
const quoted = (value) => '"' + String(value).replaceAll('"', '""') + '"';

function saveVotes(columns, rows, rater) {
  const text = [columns.join(","), ...rows.map((row) => row.map(quoted).join(",")), ""].join("\n");
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "text/csv" }));
  link.download = "votes-" + rater.replace(/[^\w-]+/g, "_") + ".csv";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}
