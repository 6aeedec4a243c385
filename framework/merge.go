package framework

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/cutset-dev/cutset/faultcalc"
	"github.com/cutset-dev/cutset/framework/plan"
	"github.com/cutset-dev/cutset/framework/report"
)

// Merge writes into the directory what one run would have reported that did all that the runs of a plan's shards did:
// report.json, report.html and junit.xml. Each run is its directory.
func Merge(into string, runs []string) (*report.Report, error) {
	if len(runs) == 0 {
		return nil, errors.New("merge: there are no runs; give the directory of every shard's run")
	}
	var topology faultcalc.Topology
	var frozen plan.Plan
	if err := errors.Join(readJSON(filepath.Join(runs[0], "plan.json"), &frozen), readJSON(filepath.Join(runs[0], "topology.json"), &topology)); err != nil {
		return nil, fmt.Errorf("merge: %w", err)
	}
	merged := &report.Report{Run: filepath.Base(into), AlertsByTier: map[string]int{}}
	leftOutBy := map[plan.LeftOut]int{}
	var order []plan.LeftOut
	for _, dir := range runs {
		part, err := report.Read(filepath.Join(dir, "report.json"))
		if err != nil {
			return nil, fmt.Errorf("merge: %w", err)
		}
		if part.Fingerprint != frozen.Fingerprint || part.Suite != frozen.Suite {
			return nil, fmt.Errorf("merge: run %s is of suite %s and topology %s, and run %s of %s and %s; only shards of one plan can be merged",
				part.Run, part.Suite, part.Fingerprint, filepath.Base(runs[0]), frozen.Suite, frozen.Fingerprint)
		}
		merged.Add(part)
		for _, l := range part.LeftOut {
			if leftOutBy[l]++; leftOutBy[l] == 1 {
				order = append(order, l)
			}
		}
	}
	done := func(id string) bool {
		return slices.ContainsFunc(merged.Cases, func(c report.Case) bool { return c.ID == id })
	}
	merged.LeftOut = slices.DeleteFunc(order, func(l plan.LeftOut) bool { return done(l.ID) })
	merged.NotDone = slices.DeleteFunc(merged.NotDone, func(n report.NotDone) bool { return done(n.ID) })
	if err := inPlanOrder(merged, frozen); err != nil {
		return nil, err
	}
	merged.Count()
	var err error
	if merged.Coverage, err = plan.Cover(topology, levelsOf(frozen), merged.Decided()); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(into, 0o755); err != nil { //nolint:gosec // results are for everybody to read
		return nil, err
	}
	return merged, errors.Join(
		merged.Write(filepath.Join(into, "report.json")), merged.WritePage(filepath.Join(into, "report.html"), runs, nil),
		merged.WriteJUnit(filepath.Join(into, "junit.xml"), runs),
	)
}

// inPlanOrder sorts the cases, and refuses one that two shards did.
func inPlanOrder(merged *report.Report, frozen plan.Plan) error {
	at := func(c report.Case) int {
		return slices.IndexFunc(frozen.Cases, func(p plan.Case) bool { return p.ID == c.ID })
	}
	slices.SortStableFunc(merged.Cases, func(a, b report.Case) int { return cmp.Compare(at(a), at(b)) })
	for i := 1; i < len(merged.Cases); i++ {
		if merged.Cases[i-1].ID == merged.Cases[i].ID {
			return fmt.Errorf("merge: two runs did case %s; give each shard's run once", merged.Cases[i].ID)
		}
	}
	return nil
}

func levelsOf(p plan.Plan) []faultcalc.Level {
	var levels []faultcalc.Level
	for _, c := range p.Coverage {
		levels = append(levels, c.Level)
	}
	return levels
}

func readJSON(file string, into any) error {
	text, err := os.ReadFile(file) //nolint:gosec // the caller's file
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, into); err != nil {
		return fmt.Errorf("read %s: %w", file, err)
	}
	return nil
}
