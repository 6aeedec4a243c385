package report

import (
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cutset-dev/cutset/executor"
	"github.com/cutset-dev/cutset/framework/history"
	"github.com/cutset-dev/cutset/framework/verdict"
)

// fixture unpacks a saved run: healthy and failing are real runs of suites/ha, of which a few cases were kept.
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
		enrich(r)
	}
	file = filepath.Join(dir, "report.html")
	if err := r.WritePage(file, []string{dir}, earlier); err != nil {
		t.Fatal(err)
	}
	return file, r
}

// enrich gives a report what the saved run has none of: a slower case, repeats, and the smallest set that fails.
func enrich(r *Report) {
	const s = time.Second
	bad := &r.Cases[0].Verdict
	bad.Notes = []string{"shard 1: s1-m1 and s1-m2 both said for 3.1 s that they were primary, and did not both accept writes"}
	bad.Findings = append(bad.Findings, verdict.Finding{
		Judge: "split brain", Outcome: verdict.Fail, Blame: verdict.Product, Shard: 2, Message: "shard 2 had two writable primaries for 3.1 s",
		Instances: []string{"s2-m2", "s2-m3"}, From: bad.Began + 12*s, To: bad.Began + 15*s, Picture: "consistency-" + strings.ReplaceAll(r.Cases[0].ID, ":", "-") + ".html",
	})
	bad.Shrunk = &history.Shrunk{
		Nodes: []string{"m1"}, Case: "ha:isolate:machine:m1@part", Ended: "with any node less than {m1} it does not fail", Tried: []history.Tried{
			{Case: "ha:isolate:machine:m1@part", Nodes: []string{"m1"}, Outcome: string(verdict.Fail), Seen: "shard 1 lost 220 acknowledged writes"},
		},
	}
	for i := range bad.Shards {
		shard := &bad.Shards[i]
		shard.Latency = &verdict.Latency{Before: 4 * time.Millisecond, During: 31 * time.Millisecond}
		if shard.FailedOver() {
			shard.Failover = &verdict.Failover{
				From: shard.PrimaryBefore, To: shard.PrimaryAfter, Detect: 2200 * time.Millisecond, Promote: 300 * time.Millisecond, Serve: 200 * time.Millisecond,
				Total: 2700 * time.Millisecond, TotalNormalized: 2100 * time.Millisecond, Redundancy: 4200 * time.Millisecond,
			}
		}
	}
	for i := range 8 {
		c := r.Cases[1]
		c.Of, c.Repeat = "ha:crash:machine:m2", i+1
		c.ID = fmt.Sprintf("%s@%d", c.Of, c.Repeat)
		c.Verdict.Outcome, c.Verdict.Findings = verdict.Pass, nil
		if i == 3 {
			c.Verdict.Outcome = verdict.Slower
			c.Verdict.Findings = []verdict.Finding{{Judge: "latency", Outcome: verdict.Slower, Blame: verdict.Product, Shard: 1, Message: "shard 1 became slower: 31 ms after 4 ms"}}
		}
		shards := slices.Clone(c.Verdict.Shards)
		for j := range shards {
			shards[j].Outage += time.Duration(i*i) * 100 * time.Millisecond
			shards[j].Failover = bad.Shards[j].Failover
		}
		c.Verdict.Shards = shards
		r.Cases = append(r.Cases, c)
	}
	r.Count()
}
