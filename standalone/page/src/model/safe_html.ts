/** What is left of foreign markup: text and a few tags that cannot do anything. */
export type Safe = string | { readonly tag: string; readonly href?: string; readonly children: readonly Safe[] };

/** The part of DOM nodes that is read, so that the rule can be tested without a browser. */
export interface MarkupNode {
  readonly nodeType: number;
  readonly nodeName: string;
  readonly nodeValue: string | null;
  readonly childNodes: Iterable<MarkupNode>;
  getAttribute?(name: string): string | null;
}

const ELEMENT = 1;
const TEXT = 3;
const ALLOWED = new Set(['p', 'strong', 'b', 'em', 'i', 'code', 'br', 'ul', 'ol', 'li', 'a']);
// Their text is not prose: dropped with everything inside. Other unknown tags leave their text.
const OPAQUE = new Set(['script', 'style', 'template', 'iframe', 'object', 'embed', 'noscript', 'svg', 'math', 'textarea', 'title']);
const DEEPEST = 16;

/** Keeps what is on the list and nothing else; no attribute but a web address survives. */
export function safeMarkup(nodes: Iterable<MarkupNode>, depth = 0): Safe[] {
  return [...nodes].flatMap((node): Safe[] => {
    if (node.nodeType === TEXT) return [node.nodeValue ?? ''];
    const tag = node.nodeName.toLowerCase();
    if (node.nodeType !== ELEMENT || OPAQUE.has(tag) || depth >= DEEPEST) return [];
    const children = safeMarkup(node.childNodes, depth + 1);
    if (!ALLOWED.has(tag)) return children;
    if (tag !== 'a') return [{ tag, children }];
    const href = webAddress(node.getAttribute?.('href') ?? null);
    return href === undefined ? children : [{ tag, href, children }];
  });
}

function webAddress(href: string | null): string | undefined {
  try {
    const { protocol, href: address } = new URL(href ?? '');
    return protocol === 'https:' || protocol === 'http:' ? address : undefined;
  } catch {
    return undefined;
  }
}

/** The server sanitises `html`; this does not take its word for it. */
export function safeFragment(html: string): DocumentFragment {
  const parsed = new DOMParser().parseFromString(html, 'text/html');
  const fragment = document.createDocumentFragment();
  fragment.append(...safeMarkup(parsed.body.childNodes).map(toNode));
  return fragment;
}

function toNode(safe: Safe): Node {
  if (typeof safe === 'string') return document.createTextNode(safe);
  const element = document.createElement(safe.tag);
  if (safe.href !== undefined) {
    element.setAttribute('href', safe.href);
    element.setAttribute('rel', 'noopener noreferrer');
    element.setAttribute('target', '_blank');
  }
  element.append(...safe.children.map(toNode));
  return element;
}
