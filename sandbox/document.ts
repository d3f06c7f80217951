/** Who shows a page, and what readers should know of it. */
export interface Brand {
  readonly name: string
  readonly note: string
}

/** A page of a sandbox. `title` and `content` are HTML. */
export function html({ name, note }: Brand, title: string, content: string): string {
  return `<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <title>${title} · ${name}</title>
  <style>${STYLE}</style>
</head>
<body>
  <main>
    <p class="brand">${name} <small>${note}</small></p>
    <h1>${title}</h1>
    ${content}
  </main>
</body>
</html>
`
}

const STYLE = `
  :root { color-scheme: light dark; font: 1rem/1.5 system-ui, sans-serif; }
  body { margin: 0; min-height: 100vh; display: grid; place-items: center; background: light-dark(#f3f4f6, #111827); color: light-dark(#111827, #f3f4f6); }
  main { box-sizing: border-box; width: min(26rem, 100%); padding: 2rem; border-radius: .75rem; background: light-dark(#fff, #1f2937); }
  .brand { margin: 0 0 1.5rem; font-weight: 600; }
  small { font-weight: 400; margin-inline-start: .5rem; color: light-dark(#4b5563, #d1d5db); }
  h1 { margin: 0 0 1rem; font-size: 1.375rem; line-height: 1.25; }
  dl { display: grid; grid-template-columns: auto 1fr; gap: .25rem 1rem; margin: 1rem 0 1.5rem; }
  dt { color: light-dark(#4b5563, #d1d5db); }
  dd { margin: 0; overflow-wrap: anywhere; font-variant-numeric: tabular-nums; }
  .choices { display: grid; gap: .75rem; }
  button { width: 100%; min-height: 3rem; font: inherit; font-weight: 600; border-radius: .5rem; border: 1px solid light-dark(#6b7280, #9ca3af); background: transparent; color: inherit; cursor: pointer; }
  button.approve { background: #1d4ed8; border-color: #1d4ed8; color: #fff; }
  button:focus-visible, a:focus-visible { outline: 3px solid light-dark(#1d4ed8, #93c5fd); outline-offset: 2px; }
  a { color: light-dark(#1d4ed8, #93c5fd); }
`

export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`)
}
