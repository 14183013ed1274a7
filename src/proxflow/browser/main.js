// Begins when the page is read: shows what was hidden without a program, and joins the parts.
const root = document.getElementById("moving");
const given = JSON.parse(document.getElementById("exhibits").textContent);
const player = new Player(root);
let chosen = 0;

function choose(number, keep = false) {
  chosen = Math.min(number, given.exhibits.length - 1);
  player.stop().open(given.exhibits[chosen], keep);
  tabs();
}

function tabs() {
  const names = given.exhibits.length > 1 ? given.exhibits.map((exhibit) => exhibit.name) : [];
  root.querySelector(".tabs").replaceChildren(
    ...names.map((name, number) => {
      const made = element("button", { type: "button", textContent: name });
      made.setAttribute("aria-pressed", String(number === chosen));
      made.addEventListener("click", () => choose(number));
      return made;
    }),
  );
}

function dark() {
  const set = document.documentElement.dataset.theme;
  return set ? set === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
}

function theme() {
  const button = document.getElementById("theme");
  const paint = () => {
    button.textContent = dark() ? "Light" : "Dark";
    player.marks.recolour();
    if (player.scene) player.redraw();
  };
  const set = remember(() => localStorage, "proxflow theme");
  if (set) document.documentElement.dataset.theme = set;
  button.hidden = false;
  button.addEventListener("click", () => {
    document.documentElement.dataset.theme = dark() ? "light" : "dark";
    remember(() => localStorage, "proxflow theme", document.documentElement.dataset.theme);
    paint();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", paint);
  paint();
}

// The first time that there is something to show; of a run that goes on, where one was before the page was read again.
function begin() {
  root.hidden = false;
  const kept = given.live && remember(() => sessionStorage, KEPT);
  choose(kept ? kept.chosen : 0);
  if (kept && !kept.end) player.seek(player.scene.position(kept.time));
}

theme();
if (given.exhibits.length) begin();
if (given.live) {
  addEventListener("pagehide", () => {
    if (!player.scene) return;
    const end = player.position >= player.scene.last;
    remember(() => sessionStorage, KEPT, { chosen, end, time: player.scene.time(player.position) });
  });
  new Live(given.live, (news) => {
    if (!news.exhibits?.length) return;
    const shown = given.exhibits[chosen]?.name;
    given.exhibits = news.exhibits;
    chosen = Math.max(given.exhibits.findIndex((exhibit) => exhibit.name === shown), 0);
    if (player.scene) choose(chosen, true);
    else begin();
  });
}
// For tests and for the curious: what the page shows, and where.
window.proxflow = {
  player,
  where: (index, goal = false) => player.dots.find((dot) => dot.index === index && dot.goal === goal),
};
