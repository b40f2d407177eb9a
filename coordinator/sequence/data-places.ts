/** Where in the data folder things are. One folder holds everything but the key of the secrets. */
import path from 'node:path';

export type DataPlaces = {
  readonly journal: string;
  readonly snapshots: string;
  readonly blobs: string;
  readonly logs: string;
  readonly secrets: string;
  readonly operator: string;
  /** How far the receivers of notifications have been told; no backup takes it along. */
  readonly told: string;
};

export const dataPlaces = (dataFolder: string): DataPlaces => ({
  journal: path.join(dataFolder, 'journal'),
  snapshots: path.join(dataFolder, 'snapshots'),
  blobs: path.join(dataFolder, 'blobs'),
  logs: path.join(dataFolder, 'logs'),
  secrets: path.join(dataFolder, 'secrets.jsonl'),
  operator: path.join(dataFolder, 'operator.json'),
  told: path.join(dataFolder, 'told.json'),
});
