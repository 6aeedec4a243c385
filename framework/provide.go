package framework

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/cutset-dev/cutset/framework/placement"
	"github.com/cutset-dev/cutset/framework/provider/embedded"
	"github.com/cutset-dev/cutset/framework/provider/existing"
	"github.com/cutset-dev/cutset/framework/provider/kind"
	"github.com/cutset-dev/cutset/framework/provider/kube"
	"github.com/cutset-dev/cutset/framework/target/labelled"
	"github.com/cutset-dev/cutset/framework/target/patroni"
)

// backend is a provider with the target on it, and the time they take.
type backend struct {
	// provide makes the run's machines, and the target on them, which is not deployed yet.
	provide                   func(ctx context.Context, r *run, where placement.Placement) error
	setUpLimit, tearDownLimit time.Duration
	budgetTime, eachCase      time.Duration // what a plan reckons with
	hold, outage              time.Duration // defaults of the flags
	settle                    time.Duration // for a machine that is cut off to notice
	replay                    string        // what comes before a case's id in the command that does it again
}

var backends = map[string]backend{
	"embedded": {
		provide: provideEmbedded, setUpLimit: 2 * time.Minute, tearDownLimit: 20 * time.Second,
		budgetTime: 7 * time.Minute, eachCase: 25 * time.Second, replay: "make run CASE=",
		// A failover takes 5 to 9 seconds with the default placement's timers.
		hold: 9 * time.Second, outage: 15 * time.Second, settle: 8 * time.Second,
	},
	"kind": {
		provide: provideKind, setUpLimit: 8 * time.Minute, tearDownLimit: 2 * time.Minute,
		budgetTime: 14 * time.Minute, eachCase: 50 * time.Second, replay: "make kind CASE=",
		// A failover takes 20 to 24 seconds, most of it the least time to live that Patroni 4 takes.
		hold: 30 * time.Second, outage: 45 * time.Second, settle: 30 * time.Second,
	},
	"existing": {
		provide: provideExisting, setUpLimit: 2 * time.Minute, tearDownLimit: 20 * time.Second,
		budgetTime: 14 * time.Minute, eachCase: 50 * time.Second, hold: 30 * time.Second, outage: 45 * time.Second, settle: 30 * time.Second,
		replay: "go test ./suites/... -provider=existing (with your flags) -case=",
	},
}

func providers() string { return strings.Join(slices.Sorted(maps.Keys(backends)), " or ") }

func (r *run) backend() backend { return backends[r.config.provider] }

// processName is the same for no two processes of runs on this host.
func (r *run) processName() string { return fmt.Sprintf("%s-%d", r.id, r.process) }

func provideEmbedded(ctx context.Context, r *run, where placement.Placement) error {
	options := embedded.Options{Run: r.processName(), Machines: where.AllMachines(), Logs: r.own("logs", ""), State: r.own("machines", ".json")}
	if where.Disk == placement.Volatile { // but not those of the DCS, which never crash
		for _, m := range where.Machines {
			options.Volatile = append(options.Volatile, m.Name)
		}
	}
	cluster, err := embedded.Open(ctx, options)
	if err != nil {
		return err
	}
	r.cluster = cluster // not before: a nil *Cluster in it would not look like no cluster
	r.target, err = patroni.New(where, cluster, r.commands)
	return err
}

func provideKind(ctx context.Context, r *run, where placement.Placement) error {
	if where.AllowColocated {
		return errors.New("the placement says allowColocated: copies of a shard on one node would have the same host port; use -provider=embedded")
	}
	if where.Disk != "" {
		return fmt.Errorf("the placement says disk: %s, which nodes of kind don't have; use -provider=embedded", where.Disk)
	}
	config, err := fromRoot(r.config.kindConfig)
	if err != nil {
		return err
	}
	if _, err := os.Stat(config); err != nil {
		return fmt.Errorf("read kind's configuration, see -kind-config: %w", err)
	}
	if r.config.databaseImage == "" {
		return fmt.Errorf("-database-image is empty; `make kind` builds one and says so, `hack/database-image` prints its name")
	}
	options := kind.Options{
		Name: cmp.Or(r.config.cluster, strings.ToLower(r.processName())), Reuse: r.config.cluster != "",
		Keep: r.config.keepCluster || r.config.cluster != "", Config: config, Image: r.config.nodeImage, Load: []string{r.config.databaseImage},
		State: r.own("kind", ".json"),
		Kube: kube.Options{
			Namespace: "cutset", Selector: patroni.Selector, Server: patroni.Server, Supervisor: patroni.Supervisor, Logs: r.own("logs", ""),
		},
	}
	for _, m := range where.Machines {
		options.Machines = append(options.Machines, m.Name)
	}
	cluster, err := kind.Open(ctx, options)
	if err != nil {
		return err
	}
	r.cluster = cluster
	r.target = patroni.NewOnKubernetes(where, cluster, r.config.databaseImage, r.commands)
	return nil
}

func provideExisting(ctx context.Context, r *run, _ placement.Placement) error {
	c := r.config
	cluster, err := existing.Open(ctx, existing.Options{
		Kubeconfig: c.kubeconfig, Context: c.kubeContext, Allow: c.allowFaultsIn, AllowSharedNodes: c.allowSharedNodes,
		Preset: existing.Preset{Name: c.preset, Shard: c.shardLabel, Role: c.roleLabel, Secret: c.secret},
		Kube:   kube.Options{Namespace: c.namespace, Selector: c.selector, Server: patroni.Server, Logs: r.own("logs", "")},
	})
	if err != nil {
		return err
	}
	r.cluster = cluster
	// To say what would be done, nothing has to be touched.
	if err := cluster.Allowed(); err != nil && !c.planOnly {
		return fmt.Errorf("%w; or look at the plan with -plan-only", err)
	}
	r.target, err = labelled.New(ctx, cluster, c.table, r.commands)
	return err
}
