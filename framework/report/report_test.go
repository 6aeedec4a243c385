package report

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/cutset-dev/cutset/faultcalc"
	"github.com/cutset-dev/cutset/framework/plan"
	"github.com/cutset-dev/cutset/framework/verdict"
)

func TestSummary(t *testing.T) {
	r := &Report{
		Took: 100 * time.Second,
		Cases: []Case{
			{
				Case: plan.Case{ID: "s:crash:machine:m1", Level: faultcalc.LevelMachine, Sentence: "crash {m1}: table t must stay available"},
				Verdict: verdict.Verdict{Outcome: verdict.Pass, Took: 18 * time.Second, Shards: []verdict.Shard{
					{Number: 1, Predicted: "available", Outage: 7300 * time.Millisecond, PrimaryBefore: "s1-m1", PrimaryAfter: "s1-m2"},
				}},
			},
			{
				Case:    plan.Case{ID: "s:isolate:machine:m1", Sentence: "isolate {m1}: table t must stay available"},
				Verdict: verdict.Verdict{Outcome: verdict.Fail, Findings: []verdict.Finding{{Message: "shard 1 lost 109 acknowledged writes"}}},
				Replay:  "make run CASE=s:isolate:machine:m1",
			},
			{Verdict: verdict.Verdict{Outcome: verdict.Indeterminate}},
		},
		LeftOut: []plan.LeftOut{{ID: "a", Reason: "beyond the budget"}, {ID: "b", Reason: "beyond the budget"}},
	}
	r.Count()
	var out bytes.Buffer
	if err := r.Summarize(&out, "_output/x"); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"7.3 s", "s1-m1>s1-m2", "left out (2): beyond the budget",
		"FAIL: predicted: isolate {m1}: table t must stay available; seen: shard 1 lost 109 acknowledged writes; replay: make run CASE=s:isolate:machine:m1\n",
		"1 passed, 1 failed, 1 indeterminate in 100 s; everything is in _output/x",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the summary has no %q:\n%s", want, out.String())
		}
	}
	r.Cases[0].Verdict.Outcome = verdict.Slower
	r.Count()
	out.Reset()
	if err := r.Summarize(&out, "_output/x"); err != nil {
		t.Fatal(err)
	}
	if want := "0 passed, 1 slower, 1 failed, 1 indeterminate in 100 s"; !strings.Contains(out.String(), want) {
		t.Errorf("the summary has no %q:\n%s", want, out.String())
	}
}
