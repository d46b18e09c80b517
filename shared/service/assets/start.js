// Starts the viewer with everything off that would speak to its maker's servers; the page's policy forbids it as well.
'use strict';

const app = document.getElementById('app');
window.Scalar.createApiReference(app, {
  url: app.dataset.document,
  agent: { disabled: true },
  authentication: { preferredSecurityScheme: 'bearer' },
  defaultOpenAllTags: true,
  hideClientButton: true,
  mcp: { disabled: true },
  showDeveloperTools: 'never',
  telemetry: false,
  withDefaultFonts: false,
});
