/*
 * The sizes and bounds of a stored workspace. Those of the format are the object's as well: what one side writes the other reads.
 */

const KIB = 1024;
const MIB = 1024 * KIB;

/** A pack, at most. */
export const PACK_BYTES = 16 * MIB;
/** Files up to this size share a zstd frame, and a shared frame holds at most so much. */
export const FRAME_BYTES = 256 * KIB;
/** A larger file is cut into segments of this size, each a frame of its own. */
export const SEGMENT_BYTES = MIB;
/** A pack below this size is written again with the next save that writes anything. */
export const SMALL_PACK_BYTES = MIB;
/** Over this many packs, the smallest are written again until `COMPACTED_PACKS` are left. */
export const MAX_PACKS = 128;
export const COMPACTED_PACKS = 64;
/** Of one save. A pack's number is the save's version times this, plus its place in the save: no number is used twice. */
export const PACKS_A_SAVE = 1024;

export const MAX_INDEX_BYTES = 16 * MIB;
/** The JSON of a part of the index: at most this, aimed at `PART_BYTES`; neighbours that are together under `JOINED_PART_BYTES` become one. */
export const MAX_PART_BYTES = MIB;
export const PART_BYTES = 256 * KIB;
export const JOINED_PART_BYTES = 128 * KIB;
/** Changes that a frame names. */
export const CHANGED_LISTED = 100;

export const MAX_PATH_BYTES = 1024;
export const MAX_SEGMENT_NAME_BYTES = 255;
export const MAX_LINK_BYTES = 4096;

/** Of one upload: the most that `MAX_UPLOAD_BYTES` may be. The object knows what it is. */
export const MAX_UPLOAD_BYTES = 500 * MIB;
/** Of the body of `PUT …/workspace`: the index and its header. */
export const MAX_RESTORE_BODY_BYTES = MAX_INDEX_BYTES + MIB;

export const DEFAULT_MAX_FILES = 50_000;
export const DEFAULT_MAX_BYTES = 1024 * MIB;
export const MAX_EXCLUDES = 256;
export const MAX_EXCLUDE_CHARS = 1024;
/** Of `.agentignore`; what goes beyond is not read. */
export const MAX_IGNORE_BYTES = 64 * KIB;

/** A file whose ctime is so young may change again without its ctime changing: it has no signature yet. Kernels tick in up to 10 ms. */
export const RACY_MS = 20;
