// Keeps a part of a page true: fetches it again every three seconds while the page is seen.
"use strict";
const part = document.querySelector("[data-part]");
async function again() {
  if (!document.hidden && !part.contains(document.activeElement)) {
    try {
      const answer = await fetch(part.dataset.part, {credentials: "same-origin"});
      if (answer.ok && !answer.redirected) {
        const text = await answer.text();
        if (part.innerHTML !== text) part.innerHTML = text;
      }
    } catch { /* the box is away: what is shown stays */ }
  }
  setTimeout(again, 3000);
}
setTimeout(again, 3000);
