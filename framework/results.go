package framework

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"github.com/onsi/ginkgo/v2/types"

	"github.com/cutset-dev/cutset/framework/history"
	"github.com/cutset-dev/cutset/framework/plan"
	"github.com/cutset-dev/cutset/framework/report"
	"github.com/cutset-dev/cutset/framework/verdict"
)

// replay is the command that runs a case again, alone.
func (r *run) replay(c plan.Case) string {
	command := r.backend().replay + c.Planned()
	if r.config.placement != "" {
		// From the module's root, above the runs' directory, where make is called.
		file := r.config.placement
		if short, err := filepath.Rel(filepath.Dir(filepath.Dir(r.dir)), file); err == nil && !strings.HasPrefix(short, "..") {
			file = short
		}
		command += " PLACEMENT=" + file
	}
	switch args := strings.Join(r.config.matter, " "); {
	case !strings.HasPrefix(command, "make "), args == "":
	case len(r.config.matter) == 1:
		command += " ARGS=" + args
	default:
		command += fmt.Sprintf(" ARGS=%q", args)
	}
	return command
}

func (r *run) explain(c plan.Case, v verdict.Verdict) string {
	return report.Explain(r.reportOf(c, v))
}

// header is a report of no case.
func (r *run) header() *report.Report {
	re := &report.Report{Run: r.id, Suite: r.suite.Name, Table: r.plan.Table, Seed: r.config.seed, Fingerprint: r.plan.Fingerprint}
	r.mu.Lock()
	re.LeftOut = slices.Concat(r.plan.LeftOut, r.leftOut)
	r.mu.Unlock()
	re.Alerts, re.AlertsByTier, re.Attempts = r.ledger.all()
	if r.cluster != nil {
		re.Machines = r.cluster.Describe()
	}
	if r.record != nil {
		re.Took = r.record.Now()
	}
	if r.commands != nil {
		re.Executor = r.commands.Stats()
	}
	return re
}

// results gathers the report from the plan and from the histories of all parallel processes. What Ginkgo has to say is of interest where
// they have no verdict.
func (r *run) results(specs types.SpecReports) (*report.Report, error) {
	re := r.header()
	if r.setupErr != nil {
		re.SetUpError = r.setupErr.Error()
		return re, nil //nolint:nilerr // the report is about that error
	}
	verdicts, err := r.verdicts()
	if err != nil {
		return nil, err
	}
	for _, c := range r.plan.Cases {
		if v, ok := verdicts[c.ID]; ok {
			re.Cases = append(re.Cases, r.reportOf(c, v))
			continue
		}
		missing := r.notDone(c.ID, re.LeftOut, specs)
		re.NotDone = append(re.NotDone, missing)
		if !slices.ContainsFunc(re.LeftOut, func(l plan.LeftOut) bool { return l.ID == c.ID }) {
			re.LeftOut = append(re.LeftOut, plan.LeftOut{ID: c.ID, Reason: missing.Reason})
		}
	}
	re.Count()
	re.Coverage, err = plan.Cover(r.topology, r.levels(), re.Decided())
	return re, err
}

func (r *run) reportOf(c plan.Case, v verdict.Verdict) report.Case {
	return report.Case{Case: c, Verdict: v, Replay: r.replay(c)}
}

// notDone says why a planned case has no verdict.
func (r *run) notDone(id string, leftOut []plan.LeftOut, specs types.SpecReports) report.NotDone {
	missing := report.NotDone{ID: id, Reason: "not reached: the run was cut short"}
	for _, l := range leftOut {
		if l.ID == id {
			missing.Reason = l.Reason
		}
	}
	for _, spec := range specs {
		if slices.Contains(spec.Labels(), id) && spec.Failed() {
			missing.Reason, missing.Broken = fmt.Sprintf("the harness could not do it: %s", spec.FailureMessage()), true
		}
	}
	return missing
}

// resultsSoFar is the report of a run that goes on, with what this process came to.
func (r *run) resultsSoFar() (*report.Report, error) {
	cases, ready := r.progress.results()
	if !ready {
		return &report.Report{Run: r.id, Suite: r.suite.Name, Seed: r.config.seed}, nil
	}
	re := r.header()
	re.Cases = cases
	re.Count()
	var err error
	re.Coverage, err = plan.Cover(r.topology, r.levels(), re.Decided())
	return re, err
}

func (r *run) verdicts() (map[string]verdict.Verdict, error) {
	files, err := filepath.Glob(r.file("history*.jsonl"))
	if err != nil {
		return nil, err
	}
	byCase := map[string]verdict.Verdict{}
	for _, file := range files {
		verdicts, err := verdict.Judge(history.Read(file))
		if err != nil && !errors.Is(err, verdict.ErrNoCases) && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		for _, v := range verdicts {
			byCase[v.Case] = v
		}
	}
	return byCase, nil
}

func (r *run) writeReport(specs types.SpecReports) error {
	if r.record != nil {
		if err := r.record.Flush(); err != nil {
			return err
		}
	}
	re, err := r.results(specs)
	if err != nil {
		return err
	}
	r.report = re
	earlier, err := r.earlier()
	runs := []string{r.dir}
	return errors.Join(err, re.Write(r.file("report.json")), re.WritePage(r.file("report.html"), runs, earlier), re.WriteJUnit(r.file("junit.xml"), runs))
}

// earlier reads the report to compare with, if there is one.
func (r *run) earlier() (*report.Report, error) {
	if r.config.compare == "" {
		return nil, nil //nolint:nilnil // there need not be one
	}
	dir, err := fromRoot(r.config.compare)
	if err != nil {
		return nil, err
	}
	earlier, err := report.Read(filepath.Join(dir, "report.json"))
	if err != nil {
		return nil, fmt.Errorf("compare with an earlier run: %w", err)
	}
	return earlier, nil
}

// printPlan prints what the run would do.
func (r *run) printPlan() {
	for i, c := range r.plan.Cases {
		if c.Repeat < 2 {
			r.say("%3d  %-44s %s", i+1, c.Planned(), c.Sentence)
		}
	}
	if r.config.repeat > 1 {
		r.say("all of that %d times", r.config.repeat)
	}
	for _, c := range r.plan.Coverage {
		r.say("%s", c)
	}
	for _, l := range r.plan.LeftOut {
		r.say("left out: %-34s %s", l.ID, l.Reason)
	}
	r.say("plan of topology %s, seed %d, in %s", r.plan.Fingerprint, r.plan.Seed, r.file("plan.json"))
}
