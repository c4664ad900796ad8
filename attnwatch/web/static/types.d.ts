/* What the page is told (the models in attnwatch/web/documents.py), and what its parts share. Checked by `make page-check`. */

interface WordRecord { slug: string; text: string }

interface Counts {
  finished: number; rendered: number; skipped: number; running: number; waiting: number; failed: number;
  unmade?: number;
}

interface BatchSummary {
  id: string; name: string; path: string; model: string | null; created: string | null; changed: string | null;
  planned: number | null; ended: "complete" | "interrupted" | null; counts: Counts; words: WordRecord[]; template: string | null;
}

interface WatcherRecord { host: string; pid: number; silent: boolean; paused: string | null; waiting: number; running: number }

interface BatchesDocument { revision: number; root: string; watcher: WatcherRecord | null; batches: BatchSummary[] }

type VideoState = "rendered" | "skipped" | "running" | "waiting" | "failed" | "pending";

interface VideoRow {
  id: string; video_id: string; prompt_id: string | null; prompt: string | null; choices: string[];
  seed: number | null; variation: number | null; model: string | null; state: VideoState; reason: string | null;
  words: string[]; width: number | null; height: number | null; frames: number | null; fps: number | null;
  seconds: number | null; playable: boolean;
  measures: Record<string, Record<string, number | null>> | null; /** Changes with the video or its manifest. */ version: string;
  /** Changes with anything of it. */ stamp: string;
}

interface Batch extends BatchSummary { slots: string[][]; left_out?: number; videos: VideoRow[] }

interface TokenRecord { slug: string; text: string; span: [number, number] | null; negative: boolean }

interface MapsRecord { grid: [number, number, number]; steps: number[]; layers: number; heads: number; means: string[] }

interface Timeline { seconds: number[]; lower: number[]; share: number[] }

interface VideoDetail extends VideoRow {
  batch: string; tokens: TokenRecord[]; negative_prompt: string | null; generation: Record<string, unknown>;
  denoising: { index: number; timestep: number | null; sigma: number | null; model: string | null }[];
  notes: string[]; attempts: { at: string; error: string | null }[];
  outputs: { n: number; name: string; kind: string; word: string; bytes: number }[];
  worker: string | null; maps: Record<string, MapsRecord>; timeline: Timeline | null;
}

type Series = (number | null)[];

interface WordMeasures {
  text: string | null; grid: [number, number, number]; frames: Record<string, Series>;
  over_time: Record<string, number | null>;
  steps: { numbers: number[]; correlation: Series; settled: number | null; frames: Record<string, Series[]> } | null;
}

interface MeasuresDocument { seconds: number[]; words: Record<string, WordMeasures>; notes: string[] }

interface Tables {
  colormaps: Record<string, string>; diverging: string; hues: string[]; settings: Record<string, unknown>;
  /** How measures are called; the usual ones first. */
  measures: Record<string, { label: string; unit: string }>;
}

/** What of the maps is averaged: `steps` is "mean", "each", or the number of one. */
interface MapsPart { steps: string; layers: string | null; heads: string | null }

interface ScalePart extends MapsPart { clip: string | null }

/** Where all data come from: a server, or the files of an export. */
interface Source {
  live: boolean;
  batches(): Promise<BatchesDocument>;
  batch(id: string): Promise<Batch>;
  video(id: string): Promise<VideoDetail>;
  measures(id: string): Promise<MeasuresDocument | null>;
  maps(id: string, word: string, part: MapsPart): Promise<ArrayBuffer>;
  scale(batch: string, word: string, part: ScalePart): Promise<{ low: number; high: number }>;
  tables(): Promise<Tables>;
  /** Have an element play a video, as soon as its data are there. */
  play(element: HTMLVideoElement, about: { id: string; version: string }): void;
  /** Where a video can be saved from; empty in an export that holds it. */
  videoUrl(id: string): string;
  outputUrl(id: string, n: number): string;
  subscribe(handler: SourceHandler, after: number, batch: string | null): () => void;
}

interface SourceHandler {
  /** revision: up to which everything has been told now. */
  batches(found: BatchSummary[], revision: number): void;
  videos(batch: string, rows: VideoRow[]): void;
  gone(batch: string | null, videos: string[]): void;
  watcher(found: WatcherRecord | null): void;
  reset(): void;
  connection(alive: boolean): void;
}

type Scale = "video" | "frame" | "batch" | { low: number | null; high: number | null };

/** How maps are drawn. */
interface View {
  words: string[]; step: number | null; layers: string | null; heads: string | null; colormap: string; alpha: number;
  style: "weighted" | "uniform" | "contour" | "spotlight"; threshold: number; scale: Scale; upsampling: "bilinear" | "nearest"; invert: boolean;
  /** Percentiles at the ends of the scale. */
  clip?: [number, number] | null;
  /** Number of the hue of each word, the same in all cells. */
  hues?: Record<string, number>;
}

/** What is shown and how; a link keeps it. `rows`, `columns`: "prompt", "seed", "take", "model", "slot0", ... or null for what suits the batch. */
interface PageState {
  batch: string | null; video: string | null; compare: string[];
  rows: string | null; columns: string | null; size: number | null;
  sort: string | null; find: string; states: string[]; choices: string[]; seeds: string[]; word: string | null;
  /** Words that are drawn; null: those of the first slot. */
  words: string[] | null;
  view: View; time: number; rate: number; loop: boolean;
  /** Whether the controls are open; no link keeps this. */
  panel: boolean;
}
