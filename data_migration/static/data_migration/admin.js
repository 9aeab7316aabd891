// What the pages do beyond plain HTML. Without it everything works by reloading.

const INTERVAL = 2000;

/** Keep a run that is going on up to date until it ends; silent while the tab is hidden. */
class LiveRun {
  constructor(box) {
    this.box = box;
    this.last = box.dataset.dmLast;
    this.timer = null;
    box.querySelector("[data-dm-reload]").hidden = true;
    document.addEventListener("visibilitychange", () => this.plan(0));
    this.plan(INTERVAL);
  }

  plan(delay) {
    clearTimeout(this.timer);
    if (!document.hidden) this.timer = setTimeout(() => this.ask(), delay);
  }

  async ask() {
    if (this.isAsking) return; // the tab came back before the answer did
    this.isAsking = true;
    try {
      const url = `${this.box.dataset.dmLive}?after=${encodeURIComponent(this.last)}`;
      const answer = await fetch(url, { headers: { Accept: "application/json" }, cache: "no-store" });
      if (!answer.ok || answer.redirected) throw new Error(answer.statusText);
      const run = await answer.json();
      this.lost(false);
      this.show(run);
      // What else the page tells of the run is as old as its state.
      if (run.status !== this.box.dataset.dmStatus) {
        window.location.reload();
        return;
      }
    } catch {
      this.lost(true);
    } finally {
      this.isAsking = false;
    }
    this.plan(INTERVAL);
  }

  lost(isLost) {
    this.box.querySelector("[data-dm-lost]").hidden = !isLost;
    this.box.querySelector("[data-dm-reload]").hidden = !isLost;
  }

  show(run) {
    setText(this.box.querySelector("[data-dm-summary]"), run.summary);
    const state = document.querySelector("[data-dm-run-state]");
    if (state) showState(state, "dmRunState", run);
    const rows = new Map();
    for (const row of this.box.querySelectorAll("[data-dm-bar]")) rows.set(row.dataset.dmBar, row);
    for (const bar of run.bars) this.showBar(rows.get(bar.migration) ?? this.addBar(bar), bar);
    this.last = run.last;
    this.addFailures(run.failures);
  }

  addBar(bar) {
    const row = element("tr");
    row.dataset.dmBar = bar.migration;
    const name = element("th", bar.name);
    name.scope = "row";
    const state = element("td");
    state.dataset.dmState = "";
    const progress = element("progress");
    progress.max = 100;
    progress.setAttribute("aria-label", bar.name);
    const percent = element("span");
    percent.className = "dm-percent";
    percent.dataset.dmPercent = "";
    const middle = element("td");
    middle.append(progress, " ", percent);
    const text = element("td");
    text.className = "dm-rows";
    text.dataset.dmText = "";
    row.append(name, state, middle, text);
    this.box.querySelector("[data-dm-bars]").append(row);
    return row;
  }

  showBar(row, bar) {
    const progress = row.querySelector("progress");
    if (bar.percent === null) progress.removeAttribute("value");
    else progress.value = bar.percent;
    setText(row.querySelector("[data-dm-percent]"), bar.percent === null ? "" : `${bar.percent} %`);
    setText(row.querySelector("[data-dm-text]"), bar.text);
    showState(row.querySelector("[data-dm-state]"), "dmState", bar);
    const told = document.querySelector(`[data-dm-progress="${CSS.escape(bar.migration)}"]`);
    if (told) setText(told, bar.done);
  }

  addFailures(failures) {
    if (!failures.length) return;
    const list = this.box.querySelector("[data-dm-failures]");
    this.box.querySelector("[data-dm-failures-box]").hidden = false;
    for (const failure of failures) {
      const where = element("span", failure.where);
      where.className = "dm-where";
      const line = element("li");
      line.append(where, " ", element("span", failure.cause));
      list.append(line);
    }
    while (list.children.length > 100) list.firstElementChild.remove();
    list.scrollTop = list.scrollHeight;
  }
}

function element(name, text = "") {
  const made = document.createElement(name);
  made.textContent = text; // never markup: it may come out of the legacy database
  return made;
}

function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** Show the state of a run or of a bar; `name` is where its element remembers the last one. */
function showState(place, name, { status, word }) {
  if (place.dataset[name] === status) return;
  place.dataset[name] = status;
  place.replaceChildren(stateElement(status, word));
}

function stateElement(status, word) {
  const namespace = "http://www.w3.org/2000/svg";
  const icon = document.createElementNS(namespace, "svg");
  icon.setAttribute("class", "dm-icon");
  icon.setAttribute("aria-hidden", "true");
  const use = document.createElementNS(namespace, "use");
  use.setAttribute("href", `#dm-${status}`);
  icon.append(use);
  const state = element("span");
  state.className = `dm-state dm-is-${status}`;
  state.append(icon, " ", element("span", word));
  return state;
}

/** Say what the buttons act on; a ticked app stands for its migrations. */
function watchTicks(form) {
  const scope = form.querySelector("[data-dm-scope]");
  const boxes = [...form.querySelectorAll('input[name="label"]')];
  const update = () => {
    for (const app of boxes.filter((box) => "dmApp" in box.dataset)) {
      for (const box of app.closest("tbody").querySelectorAll('input[name="label"]')) {
        if (box !== app) {
          box.disabled = app.checked;
          if (app.checked) box.checked = true;
          else if (box.dataset.dmByApp) box.checked = false;
          box.dataset.dmByApp = app.checked ? "yes" : "";
        }
      }
    }
    const labels = boxes.filter((box) => box.checked && !box.disabled).map((box) => box.value);
    setText(scope, labels.length ? `${scope.dataset.dmSome} ${labels.join(", ")}` : scope.dataset.dmNone);
  };
  if (scope && boxes.length) {
    form.addEventListener("change", update);
    update();
  }
}

/** Bring out the lines of the box in the picture that is pointed at. */
function watchPicture(picture) {
  const mark = (event) => {
    const box = event.target.closest("[data-dm-node]");
    const isOn = box && (event.type === "mouseover" || event.type === "focusin");
    for (const line of picture.querySelectorAll(".dm-arrows path")) {
      const ends = [line.dataset.dmStart, line.dataset.dmEnd];
      line.classList.toggle("dm-near", Boolean(isOn) && ends.includes(box.dataset.dmNode));
    }
  };
  for (const name of ["mouseover", "mouseout", "focusin", "focusout"]) picture.addEventListener(name, mark);
}

/** Tick a whole page of messages at once. */
function watchAll(all) {
  all.hidden = false;
  all.addEventListener("change", () => {
    for (const box of all.closest("table").querySelectorAll('input[name="message"]')) box.checked = all.checked;
  });
}

for (const box of document.querySelectorAll("[data-dm-live]")) new LiveRun(box);
for (const form of document.querySelectorAll("[data-dm-act]")) watchTicks(form);
for (const picture of document.querySelectorAll(".dm-graph")) watchPicture(picture);
for (const all of document.querySelectorAll("[data-dm-all]")) watchAll(all);
