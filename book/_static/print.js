/* Paper is white, and shows what is folded in a card. When the printer is done, all is as it was. */
const paper = window.matchMedia("print");
let before = null;
paper.addEventListener("change", () => {
  const page = document.documentElement.dataset;
  if (paper.matches) {
    const folded = [...document.querySelectorAll(".claim details:not([open])")];
    before = before || { theme: page.theme, folded };
    page.theme = "light";
    before.folded.forEach((details) => (details.open = true));
  } else if (before) {
    page.theme = before.theme;
    before.folded.forEach((details) => (details.open = false));
    before = null;
  }
});
