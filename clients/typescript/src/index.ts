export { AgentClient } from "./client.ts";
export type { FollowOptions, Page, QueryOptions, QueryRequest, ReadFileOptions, Schemas, UploadOptions } from "./client.ts";
export type { CallOptions, ClientOptions, Content } from "./connection.ts";
export { AgentError, ConnectionError } from "./errors.ts";
export type { HttpCode, Problem } from "./errors.ts";
export type { FeedEvent } from "./feed.ts";
export { TurnStream } from "./turn-stream.ts";
export type { AgentEvent, TurnResult } from "./turn-stream.ts";
export type { components, ErrorCode, EventData, FeedData, operations, paths } from "./api.ts";
