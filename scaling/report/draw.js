(function () {
  "use strict";
  var store = JSON.parse(document.getElementById("figures").textContent);
  var dark = window.matchMedia("(prefers-color-scheme: dark)");
  var options = {
    responsive: true, displaylogo: false, displayModeBar: "hover",
    modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d", "zoomIn2d", "zoomOut2d"],
    toImageButtonOptions: { format: "svg" }
  };
  function element(place) { return document.getElementById("figure-" + (place + 1)); }
  function inScheme(figure, scheme) {
    var text = JSON.stringify(figure);
    if (scheme === "dark") {
      Object.keys(store.onDark).forEach(function (colour) { text = text.split(colour).join(store.onDark[colour]); });
    }
    var copy = JSON.parse(text);
    copy.layout.template = store.templates[scheme];
    return copy;
  }
  function draw(scheme) {
    return Promise.all(store.figures.map(function (figure, place) {
      var copy = inScheme(figure, scheme);
      return Plotly.react(element(place), copy.data, copy.layout, options);
    }));
  }
  function scheme() { return dark.matches ? "dark" : "light"; }
  // Figures inside a closed <details> have no width until it opens.
  document.querySelectorAll("details").forEach(function (fold) {
    fold.addEventListener("toggle", function () {
      fold.querySelectorAll(".plot").forEach(function (plot) { Plotly.Plots.resize(plot); });
    });
  });
  dark.addEventListener("change", function () { draw(scheme()); });
  // Paper is white, and nothing can be unfolded on it.
  window.addEventListener("beforeprint", function () {
    document.querySelectorAll("details:not([open])").forEach(function (fold) {
      fold.open = true; fold.dataset.folded = "yes";
    });
    draw("light");
  });
  window.addEventListener("afterprint", function () {
    document.querySelectorAll("details[data-folded]").forEach(function (fold) {
      fold.open = false; delete fold.dataset.folded;
    });
    draw(scheme());
  });
  draw(scheme()).then(function () { document.documentElement.dataset.drawn = "yes"; });
})();
