type Attribute = string | number | boolean | undefined;
type Handler = (event: never) => void;
export type Child = Node | string | undefined | false;

const SVG = 'http://www.w3.org/2000/svg';

/** An element from attributes, `on…` listeners and children. Text only ever becomes text. */
export function el<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Readonly<Record<string, Attribute | Handler>> = {},
  ...children: readonly Child[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === 'function') element.addEventListener(name.slice(2), value as EventListener);
    else setAttribute(element, name, value);
  }
  fill(element, ...children);
  return element;
}

export function setAttribute(element: Element, name: string, value: Attribute): void {
  if (value === undefined || value === false) element.removeAttribute(name);
  else element.setAttribute(name, value === true ? '' : String(value));
}

export function fill(element: Element, ...children: readonly Child[]): void {
  element.replaceChildren(...children.filter((child): child is Node | string => child !== undefined && child !== false));
}

/** A stroked 20-unit icon that takes its colour from the text around it. */
export function icon(name: keyof typeof PATHS): SVGSVGElement {
  const svg = document.createElementNS(SVG, 'svg');
  svg.setAttribute('viewBox', '0 0 20 20');
  svg.setAttribute('class', `icon icon-${name}`);
  svg.setAttribute('aria-hidden', 'true');
  for (const d of PATHS[name]) {
    const path = document.createElementNS(SVG, 'path');
    path.setAttribute('d', d);
    svg.append(path);
  }
  return svg;
}

const PATHS = {
  bell: ['M10 2.8a5 5 0 0 0-5 5c0 4.6-1.7 6-1.7 6h13.4s-1.7-1.4-1.7-6a5 5 0 0 0-5-5Z', 'M8.4 16.6a1.9 1.9 0 0 0 3.2 0'],
  lock: ['M5.2 9h9.6v7H5.2z', 'M7.2 9V6.6a2.8 2.8 0 0 1 5.6 0V9'],
  unlocked: ['M5.2 9h9.6v7H5.2z', 'M7.2 9V6.6a2.8 2.8 0 0 1 5.4-1'],
  in: ['M10 3.5v11', 'M5.5 10.2 10 14.7l4.5-4.5'],
  out: ['M10 16.5v-11', 'M5.5 9.8 10 5.3l4.5 4.5'],
  check: ['M4.5 10.5 8.3 14.2 15.5 6.5'],
  close: ['M5.5 5.5l9 9', 'M14.5 5.5l-9 9'],
  copy: ['M7.5 7.5h8v8h-8z', 'M12.5 7.5v-3h-8v8h3'],
  window: ['M3.5 5h13v10.5h-13z', 'M3.5 8h13'],
  system: ['M3.5 4.5h13v8.5h-13z', 'M7.5 16.5h5', 'M10 13v3.5'],
  light: ['M10 6.8a3.2 3.2 0 1 0 0 6.4a3.2 3.2 0 0 0 0-6.4Z', 'M10 2.2v1.6M10 16.2v1.6M2.2 10h1.6M16.2 10h1.6M4.5 4.5l1.1 1.1M14.4 14.4l1.1 1.1M4.5 15.5l1.1-1.1M14.4 5.6l1.1-1.1'],
  dark: ['M16 11.8A6.6 6.6 0 0 1 8.2 4a6.6 6.6 0 1 0 7.8 7.8Z'],
} as const;

export function announce(text: string): void {
  const region = document.querySelector('#announcer');
  if (region !== null) region.textContent = text;
}
