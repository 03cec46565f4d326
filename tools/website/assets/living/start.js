// Figures that live: each takes the place of a picture once it is ready, or is shown below it, where its module says so
// (`beside`). If it does not start, the picture stays.
export async function start(figures) {
  await Promise.all(
    [...figures].map(async (figure) => {
      const module = await import(`./${figure.dataset.fig}.js`);
      const stage = document.createElement("div");
      stage.className = "living";
      const picture = figure.querySelector(".scroll");
      if (module.beside) figure.append(stage);
      else figure.insertBefore(stage, picture);
      module.live(stage, JSON.parse(figure.dataset.numbers));
      picture.classList.toggle("replaced", !module.beside);
      figure.classList.add("alive");
    }),
  );
}
