/* Bring to life the figures that winnow.reporting.explorable made. What cannot be drawn stays a picture. */
for (const figure of document.querySelectorAll("figure.explorable")) {
  const stage = figure.appendChild(document.createElement("div"));
  stage.className = "stage";
  const options = { mode: "vega-lite", actions: false, renderer: "svg", defaultStyle: false };
  window
    .vegaEmbed(stage, JSON.parse(figure.querySelector("script").textContent), options)
    .then(() => {
      figure.classList.add("live");
      // Vega looks at the window alone; a column can change by itself, and open from nothing.
      let width = stage.clientWidth;
      new ResizeObserver(() => {
        if (![0, width].includes(stage.clientWidth)) window.dispatchEvent(new Event("resize"));
        width = stage.clientWidth || width;
      }).observe(stage);
    })
    .catch((error) => {
      stage.remove();
      console.error(error);
    });
}
