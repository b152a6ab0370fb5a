// How files of src/routes become routes; for Vite and for `npm run generate` alike.
/** @type {Partial<import('@tanstack/router-generator').Config>} */
export const routes = {
  target: 'react',
  autoCodeSplitting: true,
  routesDirectory: './src/routes',
  generatedRouteTree: './src/routeTree.gen.ts',
  quoteStyle: 'single',
  semicolons: false,
}
