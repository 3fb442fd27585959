"use strict";
(() => {
  const curves = JSON.parse(document.getElementById("curves").textContent);
  const readout = document.getElementById("readout");

  const show = (card, series, on) => {
    for (const group of card.querySelectorAll(".series." + series)) group.classList.toggle("off", !on);
  };
  for (const chip of document.querySelectorAll(".chip")) {
    const card = chip.closest(".card");
    show(card, chip.dataset.series, chip.getAttribute("aria-pressed") === "true");
    chip.addEventListener("click", () => {
      const on = chip.getAttribute("aria-pressed") !== "true";
      chip.setAttribute("aria-pressed", String(on));
      show(card, chip.dataset.series, on);
    });
    for (const [event, lit] of [["pointerenter", true], ["pointerleave", false], ["focus", true], ["blur", false]]) {
      chip.addEventListener(event, () => {
        card.classList.toggle("dim", lit);
        for (const group of card.querySelectorAll(".series." + chip.dataset.series)) group.classList.toggle("lit", lit);
      });
    }
  }

  const height = (hull, cost) => {
    if (cost < hull[0][0]) return null;
    for (let i = 1; i < hull.length; i++) {
      const [x0, y0] = hull[i - 1], [x1, y1] = hull[i];
      if (cost <= x1) return y0 + (y1 - y0) * (cost - x0) / (x1 - x0);
    }
    return hull[hull.length - 1][1];
  };
  const money = (value) => "$" + (value >= 1 ? value.toFixed(2) : value.toPrecision(3));

  for (const svg of document.querySelectorAll("svg.frontier")) {
    const [low, high, start, end, log] = svg.dataset.x.split(" ").map(Number);
    const card = svg.closest(".card"), pool = svg.closest(".pool").id;
    const rule = svg.querySelector(".rule");
    svg.addEventListener("pointermove", (event) => {
      const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse()).x;
      const share = (at - start) / (end - start);
      if (share < 0 || share > 1) return leave();
      const cost = log ? low * (high / low) ** share : low + (high - low) * share;
      rule.setAttribute("x1", at);
      rule.setAttribute("x2", at);
      rule.classList.add("on");
      const rows = curves[pool]
        .filter((method) => card.querySelector(`.chip[data-series="m-${method.name}"]`).getAttribute("aria-pressed") === "true")
        .map((method) => [method, height(method.hull, cost)])
        .filter(([, success]) => success !== null)
        .sort((a, b) => b[1] - a[1]);
      const list = document.createElement("table");
      for (const [method, success] of rows) {
        const row = list.insertRow(), name = row.insertCell(), swatch = document.createElement("i");
        swatch.className = "swatch m-" + method.name;
        name.append(swatch, method.label);
        row.insertCell().textContent = (success * 100).toFixed(1) + " %";
      }
      const title = document.createElement("b");
      title.textContent = money(cost) + " per 1,000 queries";
      readout.replaceChildren(title, list);
      readout.hidden = false;
      const box = readout.getBoundingClientRect();
      const left = event.clientX + 18 + box.width > innerWidth ? event.clientX - 18 - box.width : event.clientX + 18;
      readout.style.left = Math.max(4, left) + "px";
      readout.style.top = Math.max(4, Math.min(event.clientY - box.height / 2, innerHeight - box.height - 4)) + "px";
    });
    const leave = () => {
      readout.hidden = true;
      rule.classList.remove("on");
    };
    svg.addEventListener("pointerleave", leave);
  }
})();
