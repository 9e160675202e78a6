//! Whether `cargo bench-shop` works at all: a few rows, so short that their figures mean nothing.

use std::{env, fs, process::Command};

use serde_json::Value;

#[test]
fn a_run_measures_its_rows_and_writes_them_down() {
    let folder = env::temp_dir().join(format!("kassa-bench-smoke-{}", std::process::id()));
    let json = folder.join("figures.json");
    fs::create_dir_all(&folder).expect("a folder can be made");
    let rows = ["product_16", "webhooks", "job_start", "flash_sale", "memory_idle"];
    let mut run = Command::new(env!("CARGO_BIN_EXE_kassa-bench"));
    run.arg("--tiny").args(rows.iter().flat_map(|row| ["--row", row]));
    run.arg("--out").arg(&folder).arg("--json").arg(&json);
    let ended = run.output().expect("it was built");
    let (out, err) = (String::from_utf8_lossy(&ended.stdout), String::from_utf8_lossy(&ended.stderr));
    assert!(ended.status.success(), "{err}");

    let figures: Value = serde_json::from_slice(&fs::read(&json).expect("it was written")).expect("it is JSON");
    let names: Vec<&str> =
        figures["rows"].as_array().expect("a list").iter().filter_map(|row| row["name"].as_str()).collect();
    assert_eq!(names, [&rows[..4], &["flash_sale_reads"], &rows[4..]].concat(), "{figures:#}");
    for row in figures["rows"].as_array().into_iter().flatten() {
        assert!(row["ratio"].as_f64().is_some_and(|ratio| ratio > 0.0) && row["goal"].is_number(), "{row:#}");
        assert!(out.contains(row["title"].as_str().unwrap_or("no title")), "{out}");
    }
    let webhooks = &figures["rows"][1];
    for side in ["ours", "theirs"] {
        assert!(
            webhooks[side]["rate"].as_f64() > Some(0.0) && webhooks[side]["p99_ms"].as_f64() > Some(0.0),
            "{webhooks:#}"
        );
        assert_eq!(webhooks[side]["errors"], 0, "{webhooks:#}");
    }
    for file in ["results.md", "results.json", "ratios.svg", "latencies.svg", "pgbench/webhooks.txt"] {
        assert!(fs::metadata(folder.join(file)).is_ok_and(|file| file.len() > 0), "{file} is missing");
    }
    fs::remove_dir_all(&folder).expect("it is ours");
}
