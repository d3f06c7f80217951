# One image for every process of Holdfast: API, workers, sandbox and the set-up job differ in their command alone.
FROM node:22-bookworm-slim AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci
COPY . .
RUN npm run build && npm prune --omit=dev

FROM node:22-bookworm-slim
# Whoever forgets to say so must not get a shop that takes sandbox money.
ENV NODE_ENV=production NODE_OPTIONS=--enable-source-maps
WORKDIR /app
COPY --from=build /app/package.json ./
COPY --from=build /app/node_modules node_modules
COPY --from=build /app/dist dist
COPY --from=build /app/db/migrations db/migrations
COPY --from=build /app/data data
COPY --from=build /app/web web
RUN mkdir /journal /images && chown node /journal /images
USER node
EXPOSE 3000
CMD ["node", "dist/api/main.js"]
