package report

import (
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/cutset-dev/cutset/executor"
	"github.com/cutset-dev/cutset/framework/history"
	"github.com/cutset-dev/cutset/framework/verdict"
)

// fixture unpacks a saved run: healthy and failing are real runs of suites/ha. Of their histories, what the page does not read was left
// out; and of the healthy one all answers that came within 80 ms of another.
func fixture(t *testing.T, name string) (dir string, r *Report) {
	t.Helper()
	dir = t.TempDir()
	for _, file := range []string{"report.json", "topology.json"} {
		text, err := os.ReadFile(filepath.Join("testdata", name, file))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, file), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "history.jsonl"), unpack(t, filepath.Join("testdata", name, "history.jsonl.gz")), 0o600); err != nil {
		t.Fatal(err)
	}
	r, err := Read(filepath.Join(dir, "report.json"))
	if err != nil {
		t.Fatal(err)
	}
	return dir, r
}

func unpack(t *testing.T, file string) []byte {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close() //nolint:errcheck // read only
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// began is when the run in the directory began.
func began(t *testing.T, dir string) time.Time {
	t.Helper()
	for r, err := range history.Read(filepath.Join(dir, "history.jsonl")) {
		if err != nil {
			t.Fatal(err)
		}
		return r.Run.Began
	}
	return time.Time{}
}

// writePage makes the page of a fixture. The failing one has an alert too, and is compared with the healthy one.
func writePage(t *testing.T, name string) (file string, r *Report) {
	t.Helper()
	dir, r := fixture(t, name)
	var earlier *Report
	if name == "failing" {
		_, earlier = fixture(t, "healthy")
		once := r.Cases[0]
		once.Verdict.Outcome, once.Verdict.Findings = verdict.Pass, nil
		earlier.Cases = append(earlier.Cases, once, r.Cases[1])
		first := r.Cases[0].ID
		r.Alerts = []executor.Alert{{
			Time: began(t, dir).Add(r.Cases[0].Verdict.Began + 9*time.Second), Tier: executor.TierHigh, Class: "heal", Scope: first,
			Command: "heal isolate", Target: "m1", Message: "heal isolate on m1 was given up after 3 attempts", Err: "timeout after 5 s",
		}}
		r.AlertsByTier = map[string]int{"high": 1}
	}
	enrich(r)
	file = filepath.Join(dir, "report.html")
	if err := r.WritePage(file, []string{dir}, earlier); err != nil {
		t.Fatal(err)
	}
	return file, r
}

// enrich gives a report what the saved runs have none of: two primaries at one time, and a case that was slower.
func enrich(r *Report) {
	const s = time.Second
	first, last := &r.Cases[0].Verdict, &r.Cases[len(r.Cases)-1].Verdict
	if first.Outcome == verdict.Fail {
		first.Findings = append(first.Findings, verdict.Finding{
			Judge: "split brain", Outcome: verdict.Fail, Blame: verdict.Product, Shard: 2, Message: "shard 2 had two writable primaries for 3.1 s",
			Instances: []string{"s2-m2", "s2-m3"}, From: first.Began + 12*s, To: first.Began + 15*s,
		})
	}
	if last.Outcome == verdict.Pass {
		last.Outcome = verdict.Slower
		last.Findings = []verdict.Finding{{Judge: "latency", Outcome: verdict.Slower, Blame: verdict.Product, Shard: 1, Message: "shard 1 stayed available, and became slower"}}
	}
	r.Count()
}
