// Package report turns verdicts into what people and machines read: report.json, report.html, junit.xml and the summary on the
// terminal.
package report

import (
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/cutset-dev/cutset/executor"
	"github.com/cutset-dev/cutset/framework/plan"
	"github.com/cutset-dev/cutset/framework/verdict"
)

// Report is everything about a run. Its JSON is report.json, which schema.json describes.
type Report struct {
	Run         string          `json:"run"`
	Suite       string          `json:"suite"`
	Table       string          `json:"table"`
	Seed        int64           `json:"seed"`
	Fingerprint string          `json:"fingerprint"`
	Machines    string          `json:"machines"` // what they are made of
	Took        time.Duration   `json:"took"`     // nanoseconds
	Counts      Counts          `json:"counts"`
	Coverage    []plan.Coverage `json:"coverage"`
	Cases       []Case          `json:"cases"`
	Repeats     []Repeats       `json:"repeats,omitempty"`
	LeftOut     []plan.LeftOut  `json:"leftOut"`
	NotDone     []NotDone       `json:"notDone,omitempty"`
	SetUpError  string          `json:"setUpError,omitempty"`

	// What the executor did: commands that it gave up, attempts (all but answered looks) with the timeout that each got
	// and why, and counts by class, of abandoned and quarantined ones too.
	Alerts       []executor.Alert         `json:"alerts"`
	AlertsByTier map[string]int           `json:"alertsByTier"`
	Attempts     []executor.AttemptRecord `json:"attempts"`
	Executor     executor.Stats           `json:"executor"`
}

// Counts are the numbers of cases by outcome.
type Counts struct {
	Pass          int `json:"pass"`
	Slower        int `json:"slower"`
	Fail          int `json:"fail"`
	Indeterminate int `json:"indeterminate"`
}

func (c *Counts) add(outcome verdict.Outcome) {
	switch outcome {
	case verdict.Pass:
		c.Pass++
	case verdict.Slower:
		c.Slower++
	case verdict.Fail:
		c.Fail++
	case verdict.Indeterminate:
		c.Indeterminate++
	}
}

// Case is a planned case and what became of it.
type Case struct {
	plan.Case
	Verdict verdict.Verdict `json:"verdict"`
	Replay  string          `json:"replay"`        // the command that runs it again
	Run     string          `json:"run,omitempty"` // that did it, in the report of several
}

// NotDone is a planned case that has no verdict. It is among those that were left out, too.
type NotDone struct {
	ID     string `json:"id"`
	Reason string `json:"reason"`
	Broken bool   `json:"broken,omitempty"` // an error of the harness is the reason, and not that the run ended before
}

// AsPredicted tells whether the case went as predicted, however long it took.
func (c Case) AsPredicted() bool { return !c.Verdict.Outcome.Fails() }

// Lost is how many acknowledged writes the case lost.
func (c Case) Lost() (lost int) {
	for _, f := range c.Verdict.Findings {
		lost += f.Lost()
	}
	return lost
}

// Count fills in Counts and Repeats.
func (r *Report) Count() {
	r.Counts = Counts{}
	for _, c := range r.Cases {
		r.Counts.add(c.Verdict.Outcome)
	}
	r.Repeats = repeats(r.Cases)
}

// Decided returns the cases that say something about other fault sets: those that went as predicted.
func (r *Report) Decided() []plan.Case {
	var decided []plan.Case
	for _, c := range r.Cases {
		if c.AsPredicted() {
			decided = append(decided, c.Case)
		}
	}
	return decided
}

// Add adds what another part of the same plan found. Counts, Repeats and Coverage are not added up.
func (r *Report) Add(part *Report) {
	r.Suite, r.Table, r.Seed, r.Fingerprint, r.Machines = part.Suite, part.Table, part.Seed, part.Fingerprint, part.Machines
	r.Took = max(r.Took, part.Took) // they ran side by side
	for _, c := range part.Cases {
		c.Run = cmp.Or(c.Run, part.Run)
		r.Cases = append(r.Cases, c)
	}
	r.NotDone = append(r.NotDone, part.NotDone...)
	r.Alerts = append(r.Alerts, part.Alerts...)
	for tier, n := range part.AlertsByTier {
		r.AlertsByTier[tier] += n
	}
	r.Attempts = append(r.Attempts, part.Attempts...)
	if part.SetUpError != "" {
		r.SetUpError = part.SetUpError
	}
}

// dirOf is the directory of the run that did the case, of those that the report is about.
func (c Case) dirOf(runs []string) string {
	i := slices.IndexFunc(runs, func(dir string) bool { return filepath.Base(dir) == c.Run })
	switch {
	case i >= 0:
		return runs[i]
	case len(runs) == 0:
		return ""
	}
	return runs[0]
}

// Read reads a report.json.
func Read(file string) (*Report, error) {
	text, err := os.ReadFile(file) //nolint:gosec // the caller's file
	if err != nil {
		return nil, err
	}
	var r Report
	if err := json.Unmarshal(text, &r); err != nil {
		return nil, fmt.Errorf("read %s: %w", file, err)
	}
	return &r, nil
}

// Write writes report.json.
func (r *Report) Write(file string) error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(file, append(text, '\n'), 0o600); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	return nil
}
