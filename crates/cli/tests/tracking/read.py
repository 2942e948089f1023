"""Prints what each tool's own reader finds of a run, as JSON: name, then step and value of every point.

    python read.py RUN_FOLDER [MLFLOW_ADDRESS MLFLOW_RUN_ID]
"""

import json
import sys
from pathlib import Path


def tensorboard(run):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(run / "tensorboard"), size_guidance={"scalars": 0})
    events.Reload()
    return {tag: [(e.step, e.value) for e in events.Scalars(tag)] for tag in events.Tags()["scalars"]}


def wandb(run):
    from google.protobuf.unknown_fields import UnknownFieldSet
    from wandb.proto.wandb_internal_pb2 import Record
    from wandb.sdk.internal.datastore import DataStore

    (folder,) = (run / "wandb").glob("offline-run-*")
    (path,) = folder.glob("*.wandb")
    store = DataStore()
    store.open_for_scan(str(path))
    points, kinds, about = {}, [], {}
    while (data := store.scan_data()) is not None:
        record = Record()
        record.ParseFromString(data)
        assert len(UnknownFieldSet(record)) == 0, "a field that the client does not know"
        kind = record.WhichOneof("record_type")
        kinds.append(kind)
        if kind == "run":
            about = {
                "id": record.run.run_id,
                "project": record.run.project,
                "entity": record.run.entity,
                "name": record.run.display_name,
                "tags": list(record.run.tags),
                "epochs": next((json.loads(i.value_json) for i in record.run.config.update if i.key == "epochs"), None),
            }
        elif kind == "history":
            line = {item.key: json.loads(item.value_json) for item in record.history.item}
            assert line["_step"] == record.history.step.num, line
            for name, value in line.items():
                if not name.startswith("_") and name != "train/global_step":
                    points.setdefault(name, []).append((line["train/global_step"], value))
        elif kind == "exit":
            about["exit_code"] = record.exit.exit_code
        elif kind == "summary":
            about["summary"] = {item.key: json.loads(item.value_json) for item in record.summary.update}
    assert about["id"] == path.stem.removeprefix("run-") == folder.name.rsplit("-", 1)[1]
    assert kinds[:2] == ["header", "run"] and kinds[-2:] == ["summary", "exit"], kinds
    return points, about


def mlflow(address, run_id):
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=address)
    run = client.get_run(run_id)
    names = run.data.metrics
    points = {name: [(m.step, m.value) for m in client.get_metric_history(run_id, name)] for name in names}
    experiment = client.get_experiment(run.info.experiment_id).name
    about = {"status": run.info.status, "name": run.info.run_name, "experiment": experiment}
    epochs = run.data.params.get("epochs")
    about |= {"epochs": epochs and float(epochs), "tags": [t for t in run.data.tags if "." not in t]}
    return points, about


def main():
    run = Path(sys.argv[1])
    found = {"tensorboard": tensorboard(run)}
    found["wandb"], about_wandb = wandb(run)
    about = {"wandb": about_wandb}
    if len(sys.argv) > 2:
        found["mlflow"], about["mlflow"] = mlflow(*sys.argv[2:])
    print(json.dumps({"points": found, "about": about}))


main()
