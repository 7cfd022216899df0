// Draws a report from its data. Names come from traces: they only ever become text, never markup.
"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const main = document.getElementById("report");
  const colors = { original: "#3b6fd4", replay: "#e0803a" };

  function add(parent, tag, text, className) {
    const element = document.createElement(tag);
    if (text !== undefined) element.textContent = text;
    if (className) element.className = className;
    parent.appendChild(element);
    return element;
  }

  function table(head, rows, textColumns = []) {
    const element = add(main, "table");
    if (head) {
      const row = add(add(element, "thead"), "tr");
      head.forEach(h => add(row, "th", h));
    }
    const body = add(element, "tbody");
    for (const cells of rows) {
      const row = add(body, "tr");
      cells.forEach((c, i) => add(row, "td", c, textColumns.includes(i) ? "text" : ""));
    }
  }

  function escape(text) {
    return String(text).replace(/[&<>"']/g, c => `&#${c.charCodeAt(0)};`); // Tooltips are markup.
  }

  function chart(title, hint, option, tall) {
    add(main, "h2", title);
    if (hint) add(main, "p", hint, "hint");
    const element = add(main, "div", undefined, tall ? "chart tall" : "chart");
    const drawn = echarts.init(element, null, { renderer: "canvas" });
    drawn.setOption({ animation: false, ...option });
    addEventListener("resize", () => drawn.resize());
    main.dataset.charts = Number(main.dataset.charts || 0) + 1;
  }

  const bar = (name, values) => ({ name, type: "bar", data: values, itemStyle: { color: colors[name] } });
  const milliseconds = value => `${value.toFixed(3)} ms`;

  for (const section of data.sections) {
    switch (section.kind) {
      case "title":
        add(main, "h1", section.title);
        if (section.headline) add(main, "p", section.headline, "headline");
        break;
      case "table":
        add(main, "h2", section.title);
        if (section.hint) add(main, "p", section.hint, "hint");
        table(section.head, section.rows, section.text);
        break;
      case "list":
        add(main, "h2", section.title);
        section.items.reduce((list, item) => (add(list, "li", item), list), add(main, "ul"));
        break;
      case "tree": {
        add(main, "h2", section.title);
        add(main, "p", section.hint, "hint");
        // Children are made when their node is opened: a page of all of them would be slow.
        const fill = (parent, index) => {
          const depth = section.depths[index];
          for (let i = index + 1; i < section.depths.length && section.depths[i] > depth; i++) {
            if (section.depths[i] !== depth + 1) continue;
            const text = section.texts[section.nodes[i]];
            if (section.depths[i + 1] > section.depths[i]) {
              const details = add(parent, "details");
              add(details, "summary", text);
              details.addEventListener("toggle", () => { if (details.childElementCount === 1) fill(details, i); });
            } else {
              add(parent, "div", text, "leaf");
            }
          }
        };
        fill(add(main, "div", undefined, "tree"), 0);
        break;
      }
      case "bars":
        chart(section.title, section.hint, {
          tooltip: { trigger: "axis", axisPointer: { type: "shadow" } }, legend: { top: 0, show: section.series.length > 1 },
          grid: { left: 10, right: 60, top: 40, bottom: 30, containLabel: true },
          xAxis: { type: "value", name: section.unit }, yAxis: { type: "category", inverse: true, data: section.names.map(escape) },
          dataZoom: section.names.length > 15 ? [{ type: "inside", yAxisIndex: 0 }, { type: "slider", yAxisIndex: 0, end: 1500 / section.names.length }] : [],
          series: section.series.map(s => bar(s.name, s.values)),
        }, true);
        break;
      case "lines":
        chart(section.title, section.hint, {
          tooltip: { trigger: "axis" }, legend: { top: 0, show: section.series.length > 1 }, grid: { left: 10, right: 30, top: 40, bottom: 50, containLabel: true },
          xAxis: { type: "value", name: section.x, min: "dataMin", max: "dataMax", axisLabel: { formatter: v => Number(v.toPrecision(4)) } }, yAxis: { type: "value", name: section.unit, scale: section.scale },
          dataZoom: [{ type: "inside" }, { type: "slider", height: 18, bottom: 8 }],
          series: section.series.map(s => ({ name: s.name, type: "line", step: section.step ? "end" : false, showSymbol: false, sampling: "lttb", data: s.values.map((v, i) => [s.from === undefined ? i : s.from + i * s.width, v]),
            lineStyle: { width: 1.5, color: colors[s.name] }, itemStyle: { color: colors[s.name] }, areaStyle: section.area ? { opacity: .15, color: colors[s.name] } : undefined })),
        });
        break;
      case "timeline": {
        const rows = section.rows.map(r => r.name);
        const spans = section.rows.flatMap((r, y) => r.names.map((n, i) => [y, r.starts[i], r.starts[i] + r.durations[i], n]));
        const hue = n => `hsl(${(n * 137.5) % 360} 55% 60%)`;
        chart(section.title, section.hint, {
          tooltip: { formatter: p => `${escape(section.names[p.value[3]])}<br>${milliseconds((p.value[2] - p.value[1]) / 1e3)} from ${milliseconds(p.value[1] / 1e3)}` },
          grid: { left: 10, right: 30, top: 10, bottom: 70, containLabel: true },
          xAxis: { type: "value", max: "dataMax", axisLabel: { formatter: v => `${(v / 1e3).toFixed(2)} ms` } }, yAxis: { type: "category", inverse: true, data: rows.map(escape) },
          dataZoom: [{ type: "inside", filterMode: "weakFilter" }, { type: "slider", filterMode: "weakFilter", height: 18, bottom: 8 }],
          series: [{ type: "custom", encode: { x: [1, 2], y: 0 }, data: spans, progressive: 2000,
            renderItem: (params, api) => {
              const start = api.coord([api.value(1), api.value(0)]), end = api.coord([api.value(2), api.value(0)]), height = api.size([0, 1])[1] * .7;
              const shape = echarts.graphic.clipRectByRect({ x: start[0], y: start[1] - height / 2, width: Math.max(.5, end[0] - start[0]), height }, params.coordSys);
              return shape && { type: "rect", shape, style: { fill: hue(api.value(3)) } };
            } }],
        });
        break;
      }
    }
  }
})();
