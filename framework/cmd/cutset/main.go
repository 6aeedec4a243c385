// Command cutset looks after runs that have ended, or were ended:
//
//	cutset heal [RUN]     heal what a killed run left failed
//	cutset clean [RUN]    remove what runs left: processes, directories, results
//	cutset recheck RUN    judge a run's history again
//	cutset merge INTO RUN...  make one report of the runs of a plan's shards
//
// RUN is a run id, or a run's directory; without one, all runs in -output are meant.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/cutset-dev/cutset/faultcalc"
	"github.com/cutset-dev/cutset/framework"
	"github.com/cutset-dev/cutset/framework/fault"
	"github.com/cutset-dev/cutset/framework/history"
	"github.com/cutset-dev/cutset/framework/provider"
	"github.com/cutset-dev/cutset/framework/provider/embedded"
	"github.com/cutset-dev/cutset/framework/provider/kind"
	"github.com/cutset-dev/cutset/framework/report"
	"github.com/cutset-dev/cutset/framework/verdict"
)

func main() {
	output := flag.String("output", "_output", "`directory` of runs")
	flag.Usage = func() {
		_, _ = fmt.Fprintln(flag.CommandLine.Output(), "usage: cutset [-output DIR] heal|clean|recheck [RUN], or merge INTO RUN...")
		flag.PrintDefaults()
	}
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := command(ctx, os.Stdout, *output, flag.Args())
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "cutset:", err)
		os.Exit(1)
	}
}

func command(ctx context.Context, out io.Writer, output string, args []string) error {
	verb, run := arg(args, 0), arg(args, 1)
	if verb == "merge" {
		return merge(out, output, run, args[min(2, len(args)):])
	}
	do := map[string]func(context.Context, io.Writer, string) error{"heal": heal, "clean": clean, "recheck": recheck}[verb]
	if do == nil {
		return fmt.Errorf("unknown command %q: write heal, clean, recheck or merge", verb)
	}
	dirs, err := runs(output, run)
	if err != nil {
		return err
	}
	var errs []error
	for _, dir := range dirs {
		if err := do(ctx, out, dir); err != nil {
			errs = append(errs, fmt.Errorf("%s run %s: %w", verb, filepath.Base(dir), err))
		}
	}
	return errors.Join(errs...)
}

// arg is an argument, or "".
func arg(args []string, at int) string {
	if at < len(args) {
		return args[at]
	}
	return ""
}

func merge(out io.Writer, output, into string, names []string) error {
	if into == "" {
		return errors.New("merge: say where to, and then which runs: cutset merge INTO RUN RUN")
	}
	var dirs []string
	for _, name := range names {
		dir, err := runs(output, name)
		if err != nil {
			return err
		}
		dirs = append(dirs, dir...)
	}
	re, err := framework.Merge(into, dirs)
	if err != nil {
		return err
	}
	if err := re.Summarize(out, into); err != nil {
		return err
	}
	if bad := re.Counts.Fail + re.Counts.Indeterminate; bad > 0 || re.SetUpError != "" {
		return fmt.Errorf("%d verdicts are fail or indeterminate %s", bad, re.SetUpError)
	}
	return nil
}

// runs returns the directories of the runs that are meant. Every run, also one that was never set up, has logs.
func runs(output, run string) ([]string, error) {
	if run != "" {
		for _, dir := range []string{filepath.Join(output, run), run} {
			if info, err := os.Stat(dir); err == nil && info.IsDir() {
				return []string{dir}, nil
			}
		}
		return nil, fmt.Errorf("there is no run %s in %s", run, output)
	}
	found, err := filepath.Glob(filepath.Join(output, "*", "logs"))
	for i, file := range found {
		found[i] = filepath.Dir(file)
	}
	return found, err
}

// eachCluster calls do with every cluster that the run's processes left behind. What ended with the run is passed over.
func eachCluster(ctx context.Context, dir string, do func(provider.Cluster) error) error {
	for pattern, reopen := range map[string]func(file string) (provider.Cluster, error){
		"machines*.json": func(file string) (provider.Cluster, error) { return embedded.Reopen(file) },
		"kind*.json":     func(file string) (provider.Cluster, error) { return kind.Reopen(ctx, file, filepath.Join(dir, "logs")) },
	} {
		states, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil {
			return err
		}
		for _, state := range states {
			cluster, err := reopen(state)
			if errors.Is(err, embedded.ErrGone) {
				continue
			}
			if err == nil {
				err = do(cluster)
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

func heal(ctx context.Context, out io.Writer, dir string) error {
	open, err := openFaults(dir)
	if err != nil {
		return err
	}
	healed := 0
	err = eachCluster(ctx, dir, func(c provider.Cluster) error {
		for _, p := range open {
			k, err := fault.ByName(faultcalc.Level(p.Level), p.Kind)
			if err != nil {
				return err
			}
			for _, node := range p.Nodes {
				f, err := k.On(c, node)
				if err != nil {
					return err
				}
				if err := f.Heal(ctx); err != nil {
					return err
				}
				healed++
				_, _ = fmt.Fprintf(out, "run %s: healed %s on %s\n", filepath.Base(dir), p.Kind, node)
			}
		}
		return nil
	})
	if err == nil && healed == 0 {
		_, _ = fmt.Fprintf(out, "run %s: nothing to heal\n", filepath.Base(dir))
	}
	return err
}

// openFaults returns the cases whose faults were injected and not healed.
func openFaults(dir string) ([]history.Planned, error) {
	files, err := filepath.Glob(filepath.Join(dir, "history*.jsonl"))
	if err != nil {
		return nil, err
	}
	var open []history.Planned
	for _, file := range files {
		planned, active := map[string]history.Planned{}, map[string]bool{}
		for r, err := range history.Read(file) {
			if err != nil {
				return nil, err
			}
			switch {
			case r.Planned != nil:
				planned[r.Case] = *r.Planned
			case r.Phase != nil && r.Phase.Name == history.Inject:
				active[r.Case] = true
			case r.Phase != nil && r.Phase.Name == history.Healed && r.Phase.Problem == "":
				delete(active, r.Case)
			}
		}
		for id := range active {
			open = append(open, planned[id])
		}
	}
	return open, nil
}

func clean(ctx context.Context, out io.Writer, dir string) error {
	if err := eachCluster(ctx, dir, func(c provider.Cluster) error { return c.Close(ctx) }); err != nil {
		return err
	}
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	_, _ = fmt.Fprintf(out, "run %s: removed\n", filepath.Base(dir))
	return nil
}

// recheck judges a run's history again. It fails where a verdict is bad, and where it is not the one that the run gave.
func recheck(_ context.Context, out io.Writer, dir string) error {
	files, err := filepath.Glob(filepath.Join(dir, "history*.jsonl"))
	if err != nil {
		return err
	}
	if len(files) == 0 {
		return fmt.Errorf("%s: %w", filepath.Join(dir, "history.jsonl"), fs.ErrNotExist)
	}
	given, err := givenVerdicts(dir)
	if err != nil {
		return err
	}
	bad, other := 0, 0
	for _, file := range files {
		verdicts, err := verdict.Judge(history.Read(file))
		if err != nil {
			return err
		}
		for _, v := range verdicts {
			_, _ = fmt.Fprintf(out, "%-13s  %s: %s\n", v.Outcome, v.Case, v.Summary())
			if v.Outcome.Fails() {
				bad++
			}
			if before, ok := given[v.Case]; ok && (before.Outcome != v.Outcome || before.Summary() != v.Summary()) {
				other++
				_, _ = fmt.Fprintf(out, "%-13s  was what the run said: %s\n", before.Outcome, before.Summary())
			}
		}
	}
	if other > 0 {
		return fmt.Errorf("%d verdicts are not those that the run gave", other)
	}
	if bad > 0 {
		return fmt.Errorf("%d verdicts are fail or indeterminate", bad)
	}
	return nil
}

// givenVerdicts are those of the run's own report, by case; none where it was killed before it wrote one.
func givenVerdicts(dir string) (map[string]verdict.Verdict, error) {
	given := map[string]verdict.Verdict{}
	re, err := report.Read(filepath.Join(dir, "report.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return given, nil
	}
	if err != nil {
		return nil, err
	}
	for _, c := range re.Cases {
		given[c.ID] = c.Verdict
	}
	return given, nil
}
