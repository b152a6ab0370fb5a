// How files of src/routes become routes; for Vite and for `npm run generate` alike.
/** @type {Partial<import('@tanstack/router-generator').Config>} */
export const routes = {
  target: 'react',
  autoCodeSplitting: true,
  // The frame of all pages and the overview come with the first script.
  codeSplittingOptions: { splitBehavior: ({ routeId }) => (routeId === '/_app' || routeId === '/_app/' ? [] : undefined) },
  routesDirectory: './src/routes',
  generatedRouteTree: './src/routeTree.gen.ts',
  quoteStyle: 'single',
  semicolons: false,
}
