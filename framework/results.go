package framework

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

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
	return report.Explain(report.Case{Case: c, Verdict: v, Replay: r.replay(c)})
}

// results gathers the report from the plan and from the histories of all parallel processes.
func (r *run) results() (*report.Report, error) {
	re := &report.Report{
		Run: r.id, Suite: r.suite.Name, Table: r.plan.Table, Seed: r.config.seed, Fingerprint: r.plan.Fingerprint,
		LeftOut: slices.Concat(r.plan.LeftOut, r.leftOut),
	}
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
			re.Cases = append(re.Cases, report.Case{Case: c, Verdict: v, Replay: r.replay(c)})
		} else if !slices.ContainsFunc(re.LeftOut, func(l plan.LeftOut) bool { return l.ID == c.ID }) {
			re.LeftOut = append(re.LeftOut, plan.LeftOut{ID: c.ID, Reason: "not reached: the run was cut short"})
		}
	}
	re.Count()
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

func (r *run) writeReport() error {
	if r.record != nil {
		if err := r.record.Flush(); err != nil {
			return err
		}
	}
	re, err := r.results()
	if err != nil {
		return err
	}
	r.report = re
	earlier, err := r.earlier()
	return errors.Join(err, re.Write(r.file("report.json")), re.WritePage(r.file("report.html"), []string{r.dir}, earlier))
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
