package framework

import (
	"cmp"
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/cutset-dev/cutset/framework/history"
	"github.com/cutset-dev/cutset/framework/plan"
	"github.com/cutset-dev/cutset/framework/provider/embedded"
)

// config is everything a user can set. Flags win over the environment, that over the suite, that over
// the defaults. The environment's names are the flags', as CUTSET_BUDGET_CASES.
type config struct {
	provider, world, placement, caseID, output string
	levels, kinds                              string
	budgetCases, maxSize, repeat, budgetShrink int
	shrink, restorePrimaries                   bool
	quantiles                                  quantiles
	matter                                     []string // flags that were given and matter to what becomes of a case
	budgetTime, hold, outage, redundancy       time.Duration
	slowdown                                   float64
	seed                                       int64
	planOnly                                   bool
	progress                                   string
	watch                                      watchAddress
	seedDefect                                 string
	shard, planFile, compare                   string
	kindConfig, nodeImage, databaseImage       string
	cluster                                    string
	keepCluster                                bool

	kubeconfig, kubeContext, namespace, selector string
	preset, shardLabel, roleLabel, secret, table string
	allowFaultsIn                                string
	allowSharedNodes                             bool
}

// The defaults fit two cores; those that depend on the provider are with its backend.
const (
	defaultLevels      = "machine,instance"
	defaultBudgetCases = 14
	defaultRedundancy  = 60 * time.Second
	defaultSlowdown    = 5
	defaultShrink      = 6  // cases
	minimumTraffic     = 15 // operations of each kind and shard before a fault
)

var settings config

// register declares the flags. The default of each is what the environment says.
func (c *config) register(flags *flag.FlagSet) {
	flags.StringVar(&c.provider, "provider", "embedded", "what the machines are made of: "+providers())
	flags.StringVar(&c.world, "world", string(embedded.Auto), "embedded: namespaces, loopback, or auto")
	flags.StringVar(&c.kindConfig, "kind-config", "kind-config.yaml", "kind: its configuration `file`, from the module's root")
	flags.StringVar(&c.nodeImage, "node-image", "", "kind: `image` of the nodes (default: kind's own)")
	flags.StringVar(&c.databaseImage, "database-image", "", "kind: `image` with PostgreSQL and Patroni")
	flags.StringVar(&c.cluster, "cluster", "", "kind: use the cluster of this `name`, and keep it; it is made if there is none")
	flags.BoolVar(&c.keepCluster, "keep-cluster", false, "kind: leave the cluster up after the run")
	flags.StringVar(&c.kubeconfig, "kubeconfig", "", "existing: kubeconfig `file` (default: as for kubectl)")
	flags.StringVar(&c.kubeContext, "kube-context", "", "existing: `context` in the kubeconfig (default: the current one)")
	flags.StringVar(&c.namespace, "namespace", "default", "existing: `namespace` of the database")
	flags.StringVar(&c.selector, "selector", "", "existing: label `selector` of the database's pods")
	flags.StringVar(&c.preset, "preset", "", "existing: whose labels the pods have: cloudnative-pg, zalando, crunchy or patroni (default: the one that fits)")
	flags.StringVar(&c.shardLabel, "shard-label", "", "existing: `label` that the copies of one shard have in common (default: the preset's)")
	flags.StringVar(&c.roleLabel, "role-label", "", "existing: `label` that says primary or standby (default: the preset's)")
	flags.StringVar(&c.secret, "secret", "", "existing: `name` of the Secret with the account to use, %s for the shard label's value (default: the preset's)")
	flags.StringVar(&c.table, "table", "t", "existing: `name` of the table in schema cutset, made where it is missing")
	flags.StringVar(&c.allowFaultsIn, "allow-faults-in", "", "existing: repeat the `namespace` to let the run write to the database and break it")
	flags.BoolVar(&c.allowSharedNodes, "allow-shared-nodes", false, "existing: let nodes fail on which pods of other namespaces run")
	flags.StringVar(&c.placement, "placement", "", "YAML `file` with machines and shards, from the module's root (default: the built-in ring)")
	flags.StringVar(&c.caseID, "case", "", "do only the case with this `id`")
	flags.StringVar(&c.output, "output", "", "`directory` for runs (default: _output in the module's root)")
	flags.StringVar(&c.levels, "levels", "", "fault levels, separated by commas (default: the suite's, or "+defaultLevels+")")
	flags.StringVar(&c.kinds, "kinds", "", "fault kinds, separated by commas (default: the suite's, or all)")
	flags.IntVar(&c.budgetCases, "budget-cases", 0, "do at most so many cases (default: the suite's, or "+fmt.Sprint(defaultBudgetCases)+")")
	flags.DurationVar(&c.budgetTime, "budget-time", 0, "do at most so many cases as fit: 25 s each on embedded machines, 50 s on kind (default: 7m, on kind 14m)")
	flags.IntVar(&c.maxSize, "max-size", 0, "fail at most so many nodes together (default: the suite's, or any)")
	flags.DurationVar(&c.hold, "hold", 0, "how long a fault lasts, at least (default: 9s, on Kubernetes 30s)")
	flags.DurationVar(&c.outage, "budget-outage", 0, "how long a shard may be away where it must stay available, load-normalized (default: 15s, on Kubernetes 45s)")
	flags.DurationVar(&c.redundancy, "budget-redundancy", defaultRedundancy, "how long all copies may take to be back after the heal, load-normalized")
	flags.Float64Var(&c.slowdown, "budget-slowdown", defaultSlowdown, "by what `factor` writes may become slower where a shard must stay available, outages apart, before its verdict is slower")
	flags.IntVar(&c.repeat, "repeat", 1, "do the whole plan so many times; the budgets of cases and of time are for each")
	flags.Var(&c.quantiles, "budget-quantiles", "with -repeat: `budgets` of the quantiles of a case's outages, load-normalized, as p50=8s,p90=12s")
	flags.BoolVar(&c.restorePrimaries, "restore-primaries", true, "before each case, make the first primaries primaries again, where the target can be told to; a case then does not depend on the failovers before")
	flags.BoolVar(&c.shrink, "shrink", false, "when a case fails, look for the smallest part of its fault set that still does")
	flags.IntVar(&c.budgetShrink, "budget-shrink", defaultShrink, "do at most so many cases to shrink one")
	flags.Int64Var(&c.seed, "seed", 1, "seed of everything random in the run")
	flags.StringVar(&c.shard, "shard", "", "do only the `i/n`-th part of the plan; see `cutset merge`")
	flags.StringVar(&c.compare, "compare", "", "compare with the earlier run in this `directory`, in report.html")
	flags.StringVar(&c.planFile, "plan-file", "", "do the cases of this plan.json `file`, if the topology is still that one")
	flags.StringVar(&c.seedDefect, "seed-defect", "", "give the run's harness a `defect`, which its verdicts must notice: "+defectNames())
	flags.StringVar(&c.progress, "progress", progressAuto, "how to show where the run is: plain lines, a line that is drawn anew at the foot of the terminal, or auto")
	flags.Var(&c.watch, "watch", "serve the report on this host while the run goes on, at this `address` of it (default: a free port)")
	flags.BoolVar(&c.planOnly, "plan-only", false, "print the plan and stop")
}

// given takes note of the flags that were set, and that a case has to be done again with to come to the same.
func (c *config) given(flags *flag.FlagSet) {
	matters := []string{
		"budget-outage", "budget-quantiles", "budget-redundancy", "budget-slowdown", "hold", "repeat", "restore-primaries", "seed", "seed-defect", "world",
	}
	flags.Visit(func(f *flag.Flag) {
		if slices.Contains(matters, f.Name) {
			c.matter = append(c.matter, "-"+f.Name+"="+f.Value.String())
		}
	})
}

// fromEnvironment sets every flag of ours that the environment names. It comes before the command line is parsed.
func fromEnvironment(flags *flag.FlagSet) error {
	var own config
	names := flag.NewFlagSet("", flag.ContinueOnError)
	own.register(names)
	var failed error
	names.VisitAll(func(f *flag.Flag) {
		key := "CUTSET_" + strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_"))
		if value := os.Getenv(key); value != "" {
			if err := flags.Set(f.Name, value); err != nil {
				failed = fmt.Errorf("%s=%s: %w; see -%s", key, value, err, f.Name)
			}
		}
	})
	return failed
}

// with fills in what the user left to the suite, and what the suite left to the defaults.
func (c config) with(s Suite) config {
	c.levels = cmp.Or(c.levels, strings.Join(s.Levels, ","), defaultLevels)
	c.kinds = cmp.Or(c.kinds, strings.Join(s.Kinds, ","))
	c.budgetCases = cmp.Or(c.budgetCases, s.BudgetCases, defaultBudgetCases)
	c.maxSize = cmp.Or(c.maxSize, s.MaxSize)
	c.caseID, _, _ = strings.Cut(c.caseID, plan.Again) // which run of it does not matter
	backend := backends[c.provider]
	c.hold, c.outage = cmp.Or(c.hold, backend.hold), cmp.Or(c.outage, backend.outage)
	c.budgetTime = cmp.Or(c.budgetTime, backend.budgetTime)
	return c
}

// quantiles are budgets by quantile, as p90; the value of a flag.
type quantiles map[string]time.Duration

// String implements [flag.Value].
func (q *quantiles) String() string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(*q)) {
		parts = append(parts, fmt.Sprintf("%s=%s", name, (*q)[name]))
	}
	return strings.Join(parts, ",")
}

// Set implements [flag.Value].
func (q *quantiles) Set(value string) error {
	*q = quantiles{}
	for _, part := range list(value) {
		name, text, _ := strings.Cut(part, "=")
		limit, err := time.ParseDuration(text)
		if _, ok := history.Quantile(name); !ok || err != nil || limit <= 0 {
			return fmt.Errorf("%q is no budget of a quantile; write p1 to p100, an equals sign and a duration, as p90=12s", part)
		}
		(*q)[name] = limit
	}
	return nil
}

// list splits a flag's value at its commas.
func list(value string) []string {
	if value == "" {
		return nil
	}
	return strings.Split(value, ",")
}

// part returns which of how many parts of the plan to do; 0, 0 for all of it.
func (c config) part() (at, of int) {
	if n, err := fmt.Sscanf(c.shard, "%d/%d", &at, &of); n != 2 || err != nil {
		return 0, 0
	}
	return at, of
}
