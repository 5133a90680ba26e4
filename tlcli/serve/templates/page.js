"use strict";
// All text comes into the page as text: names of files and classes are never read as HTML.
const $ = (id) => document.getElementById(id);
const waiting = [];
const TRIES = 20;
let models = [], token = "", working = 0, done = 0, asked = 0;

function made(kind, text = "", className = "") {
  const one = document.createElement(kind);
  one.textContent = text;
  if (className) one.className = className;
  return one;
}

function headers() {
  return token ? { Authorization: `Bearer ${token}` } : {};
}

function chosen() {
  return models.find((one) => one.name === $("model").value) || models[0];
}

async function begin() {
  let answer;
  try {
    answer = await fetch("models", { headers: headers() });
  } catch {
    $("about").textContent = "The server does not answer.";
    return;
  }
  if (answer.status === 401) {
    $("refused").textContent = token ? "This is not the token." : "";
    token = "";
    $("key").hidden = false;
    $("about").textContent = "";
    $("token").focus();
    return;
  }
  $("key").hidden = true;
  models = await answer.json();
  $("model").replaceChildren(...models.map((one) => made("option", one.name)));
  $("choice").hidden = models.length < 2;
  tell();
  work();
}

function tell() {
  const model = chosen();
  const names = model.class_names, few = names.slice(0, 8).join(", ");
  const more = names.length > 8 ? `, … (${names.length} classes)` : "";
  $("about").textContent = `${model.name}: ${few}${more}`;
  $("explain").disabled = !model.explains;
  $("explains").textContent = model.explains ? "Show where the class was read from"
    : "An export cannot show where a class was read from: serve its run";
  if (!model.explains) $("explain").checked = false;
}

function take(files) {
  const pictures = [...files].filter((file) => file.size);
  asked += pictures.length;
  for (const file of pictures) {
    const card = made("li", "", "answer waiting");
    const image = new Image();
    image.alt = "";
    image.src = URL.createObjectURL(file);
    image.onload = image.onerror = () => URL.revokeObjectURL(image.src);
    const shown = made("div", "", "pictures"), figure = made("figure"), said = made("div", "", "said");
    figure.append(image);
    shown.append(figure);
    said.append(made("p", file.name, "name"), made("p", "waiting …"));
    card.append(shown, said);
    $("answers").prepend(card);
    waiting.push({ file, card, shown, said, model: $("model").value, explain: $("explain").checked });
  }
  progress();
  work();
}

function progress() {
  const left = asked - done;
  $("state").textContent = left ? `${left} of ${asked} pictures wait for their answer`
    : asked ? `${asked} ${asked > 1 ? "pictures are" : "picture is"} answered` : "";
}

function work() {
  while (working < 3 && waiting.length && models.length) {
    working += 1;
    const one = waiting.shift();
    answered(one).catch(() => fault(one, "The server does not answer.")).finally(() => {
      working -= 1;
      done += 1;
      one.card.classList.remove("waiting");
      progress();
      work();
    });
  }
}

async function answered(one) {
  const form = new FormData();
  form.append("images", one.file, one.file.name);
  const query = new URLSearchParams({ explain: String(one.explain) });
  if (one.model) query.set("model", one.model);
  for (let again = 0; again < TRIES; again += 1) {
    const answer = await fetch(`predict?${query}`, { method: "POST", body: form, headers: headers() });
    if (answer.status === 429) {
      await new Promise((go) => setTimeout(go, 1000 * (Number(answer.headers.get("Retry-After")) || 1)));
      continue;
    }
    const found = await answer.json();
    if (!answer.ok) return fault(one, found.error);
    return found[0].error ? fault(one, `This picture cannot be read: it ${found[0].error}.`) : show(one, found[0]);
  }
  return fault(one, "The server is busy.");
}

function fault(one, text) {
  one.card.classList.add("faulty");
  one.said.replaceChildren(made("p", one.file.name, "name"), made("p", text, "fault"));
}

function percent(share) {
  return `${(100 * share).toFixed(1)} %`;
}

function show(one, row) {
  const title = made("h2", row.labels ? row.labels.join(", ") || "none of the classes" : row.label);
  if (!row.labels) title.append(" ", made("small", percent(row.probability)));
  one.said.replaceChildren(made("p", one.file.name, "name"), title, table(row.top), marks(row));
  const image = one.shown.querySelector("img");
  image.alt = `${one.file.name}: ${title.textContent}`;
  if (row.explanation && row.explanation.picture.startsWith("data:image/png;base64,")) {
    const figure = made("figure"), heat = new Image();
    heat.alt = `Heat where ${row.explanation.label} was read from`;
    heat.src = row.explanation.picture;
    figure.append(heat, made("figcaption", `what speaks for ${row.explanation.label}: yellow most`));
    one.shown.append(figure);
  }
}

function table(top) {
  const found = made("table");
  for (const { label, probability } of top) {
    const line = found.insertRow(), name = made("th", label);
    name.scope = "row";
    line.append(name);
    const track = made("div", "", "track"), bar = made("div", "", "bar");
    bar.style.width = `${100 * probability}%`;
    track.append(bar);
    line.insertCell().append(track);
    line.insertCell().textContent = percent(probability);
  }
  return found;
}

function marks(row) {
  const found = made("ul", "", "marks");
  if (row.label === "uncertain") found.append(made("li", "too uncertain to name", "doubt"));
  if (row.stranger) found.append(made("li", "unlike the training images", "doubt"));
  if (row.set) found.append(made("li", `can be: ${row.set.join(", ")}`));
  found.hidden = !found.children.length;
  return found;
}

$("key").addEventListener("submit", (event) => {
  event.preventDefault();
  token = $("token").value.trim();
  $("token").value = "";
  begin();
});
$("model").addEventListener("change", tell);
for (const id of ["files", "camera"]) {
  $(id).addEventListener("change", (event) => {
    take(event.target.files);
    event.target.value = "";
  });
}
for (const kind of ["dragenter", "dragover"]) {
  addEventListener(kind, (event) => {
    event.preventDefault();
    $("place").classList.add("over");
  });
}
addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) $("place").classList.remove("over");
});
addEventListener("drop", (event) => {
  event.preventDefault();
  $("place").classList.remove("over");
  take(event.dataTransfer.files);
});
addEventListener("paste", (event) => take(event.clipboardData.files));
begin();
