package patroni

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"github.com/cutset-dev/cutset/faultcalc"
	"github.com/cutset-dev/cutset/framework/provider"
)

// row is one copy in the database's own catalogue.
type row struct {
	Shard    int
	Instance string
	Server   string
	REST     string
}

// Discover implements [target.Target] with the three components of method 1, "Inputs".
func (t *Target) Discover(ctx context.Context, entry string) (faultcalc.Topology, error) {
	rows, err := t.discoverDeployment(ctx, entry)
	if err != nil {
		return faultcalc.Topology{}, fmt.Errorf("discover the deployment through %s: %w", entry, err)
	}
	var topology faultcalc.Topology
	topology.Machines, topology.Instances, err = t.mapMachines(rows)
	if err != nil {
		return faultcalc.Topology{}, fmt.Errorf("map instances to machines: %w", err)
	}
	table, err := t.discoverTable(ctx, rows)
	if err != nil {
		return faultcalc.Topology{}, fmt.Errorf("discover the distribution of table %s: %w", t.placement.Table, err)
	}
	topology.Tables = []faultcalc.Table{table}
	if err := topology.Validate(); err != nil {
		return faultcalc.Topology{}, fmt.Errorf("the database describes a topology that can't be: %w", err)
	}
	return topology, nil
}

// discoverDeployment is component 1: from one address to all instances.
func (t *Target) discoverDeployment(ctx context.Context, entry string) ([]row, error) {
	at := slices.IndexFunc(t.copies, func(c copyOf) bool { return c.server() == entry })
	if at < 0 {
		return nil, fmt.Errorf("no server of this deployment has the address %s", entry)
	}
	rows, err := query(ctx, t, "read the catalogue", t.copies[at],
		`SELECT shard, instance, server, rest FROM cutset.copies WHERE table_name = $1 ORDER BY shard, instance`,
		pgx.RowToStructByPos[row], t.placement.Table)
	if err == nil && len(rows) == 0 {
		err = fmt.Errorf("the catalogue knows no copies of table %s", t.placement.Table)
	}
	return rows, err
}

// mapMachines is component 2: each machine's addresses, compared with the list of instances.
func (t *Target) mapMachines(rows []row) ([]faultcalc.Machine, []faultcalc.Instance, error) {
	var machines []faultcalc.Machine
	var instances []faultcalc.Instance
	for _, placed := range t.placement.Machines {
		m, err := t.cluster.Machine(placed.Name)
		if err != nil {
			return nil, nil, err
		}
		addresses, err := m.Addresses()
		if err != nil {
			return nil, nil, err
		}
		labels := placed.Labels
		if own := provider.LabelsOf(m); own != nil {
			labels = own
		}
		machines = append(machines, faultcalc.Machine{Name: placed.Name, Labels: labels, Addresses: addresses})
		for _, r := range rows {
			if slices.Contains(addresses, host(r.Server)) {
				instances = append(instances, faultcalc.Instance{Name: r.Instance, Machine: placed.Name, Address: r.Server})
			}
		}
	}
	if len(instances) != len(rows) {
		return nil, nil, fmt.Errorf("the database has %d instances, and the machines' addresses account for %d of them", len(rows), len(instances))
	}
	return machines, instances, nil
}

// discoverTable is component 3: the copies of each shard, their roles and availability states.
func (t *Target) discoverTable(ctx context.Context, rows []row) (faultcalc.Table, error) {
	table := faultcalc.Table{Name: t.placement.Table, Rule: faultcalc.RuleAny}
	for _, s := range t.placement.Shards {
		view, err := t.view(ctx, s.Number)
		if err != nil {
			return table, err
		}
		config, err := t.shardConfig(ctx, s.Number)
		if err != nil {
			return table, err
		}
		shard := faultcalc.Shard{Number: s.Number}
		for _, r := range rows {
			if r.Shard != s.Number {
				continue
			}
			at := slices.IndexFunc(view.Members, func(m member) bool { return m.Name == r.Instance })
			replica := faultcalc.Replica{Instance: r.Instance, Role: faultcalc.RoleStandby, State: faultcalc.StateUnavailable}
			if at >= 0 {
				replica = describe(view.Members[at], config.SynchronousMode)
			}
			shard.Replicas = append(shard.Replicas, replica)
		}
		table.Shards = append(table.Shards, shard)
	}
	return table, nil
}

// describe says what a member may do. In synchronous mode Patroni promotes only synchronous standbys;
// any other copy is one that may not be promoted, whatever data it holds.
func describe(m member, synchronous bool) faultcalc.Replica {
	r := faultcalc.Replica{Instance: m.Name, Role: faultcalc.RoleStandby, State: faultcalc.StateUnavailable}
	if m.runs() {
		r.State = faultcalc.StateAvailable
	}
	nofailover, _ := m.Tags["nofailover"].(bool)
	switch {
	case m.leads():
		r.Role = faultcalc.RolePrimary
	case nofailover, synchronous && m.Role == "replica":
		r.Role = faultcalc.RoleAsync
	}
	return r
}

// dynamicConfig is the part of GET /config that decides who may be promoted.
type dynamicConfig struct {
	SynchronousMode      bool `json:"synchronous_mode"`
	SynchronousNodeCount int  `json:"synchronous_node_count"`
}

func (t *Target) shardConfig(ctx context.Context, shard int) (dynamicConfig, error) {
	return askAny(ctx, t, shard, func(ctx context.Context, c copyOf) (dynamicConfig, error) {
		return get[dynamicConfig](ctx, t, c, "/config")
	})
}

// view returns the shard as its own members see it.
func (t *Target) view(ctx context.Context, shard int) (clusterView, error) {
	return askAny(ctx, t, shard, func(ctx context.Context, c copyOf) (clusterView, error) {
		return get[clusterView](ctx, t, c, "/cluster")
	})
}

// askAny asks all of a shard's copies at once and takes the first answer.
func askAny[R any](ctx context.Context, t *Target, shard int, ask func(context.Context, copyOf) (R, error)) (R, error) {
	type answer struct {
		r   R
		err error
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	copies := t.copiesOf(shard)
	answers := make(chan answer, len(copies))
	for _, c := range copies {
		go func() {
			r, err := ask(ctx, c)
			answers <- answer{r, err}
		}()
	}
	var errs []error
	for range copies {
		a := <-answers
		if a.err == nil {
			return a.r, nil
		}
		errs = append(errs, a.err)
	}
	var none R
	return none, fmt.Errorf("no member of shard %d answers: %w", shard, errors.Join(errs...))
}

// Primaries implements [target.Target].
func (t *Target) Primaries(ctx context.Context) (map[int]string, error) {
	primaries := map[int]string{}
	var errs []error
	for _, s := range t.placement.Shards {
		view, err := t.view(ctx, s.Number)
		errs = append(errs, err)
		for _, m := range view.Members {
			if m.leads() {
				primaries[s.Number] = m.Name
			}
		}
	}
	return primaries, errors.Join(errs...)
}

// Redundant implements [target.Target].
func (t *Target) Redundant(ctx context.Context) error {
	var errs []error
	for _, s := range t.placement.Shards {
		errs = append(errs, t.shardRedundant(ctx, s.Number))
	}
	return errors.Join(errs...)
}

// shardRedundant returns nil when the shard has a primary, every standby streams from it, and as many
// copies may be promoted as the shard's configuration provides for.
func (t *Target) shardRedundant(ctx context.Context, shard int) error {
	primary, err := t.onlyPrimary(ctx, shard)
	if err != nil {
		return err
	}
	view, err := get[clusterView](ctx, t, primary, "/cluster")
	if err != nil {
		return err
	}
	config, err := get[dynamicConfig](ctx, t, primary, "/config")
	if err != nil {
		return err
	}
	copies := t.copiesOf(shard)
	promotable, leads := 0, false
	for _, c := range copies {
		at := slices.IndexFunc(view.Members, func(m member) bool { return m.Name == c.Instance })
		if at < 0 || !view.Members[at].runs() {
			return fmt.Errorf("shard %d: %s does not run", shard, c.Instance)
		}
		leads = leads || c == primary && view.Members[at].leads()
		if describe(view.Members[at], config.SynchronousMode).Role != faultcalc.RoleAsync {
			promotable++
		}
	}
	wanted := len(copies)
	if config.SynchronousMode {
		wanted = min(wanted, 1+config.SynchronousNodeCount)
	}
	switch {
	case !leads:
		return fmt.Errorf("shard %d: %s does not lead", shard, primary.Instance)
	case promotable < wanted:
		return fmt.Errorf("shard %d: %d of %d copies may be promoted", shard, promotable, wanted)
	}
	return t.allStream(ctx, primary, len(copies)-1)
}

// onlyPrimary returns the shard's primary when every copy answers, only that one claims to be it, and all know of a leader.
//
// It asks for nothing else before that: /cluster and /config make a member read its DCS anew, and while the leader's lock changes hands a Patroni
// on Kubernetes that does may take the lock from who holds it (its issue 3718). What looks must not be what breaks.
func (t *Target) onlyPrimary(ctx context.Context, shard int) (copyOf, error) {
	copies := t.copiesOf(shard)
	states := make([]state, len(copies))
	group, ctx := errgroup.WithContext(ctx)
	for i, c := range copies {
		group.Go(func() (err error) {
			if states[i], err = get[state](ctx, t, c, "/patroni"); err != nil {
				err = fmt.Errorf("shard %d: %s does not run: %w", shard, c.Instance, err)
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return copyOf{}, err
	}
	return agreed(copies, states)
}

// agreed returns the copy that is primary by what all say of themselves.
func agreed(copies []copyOf, states []state) (copyOf, error) {
	var primaries []copyOf
	for i, s := range states {
		if s.Unlocked {
			return copyOf{}, fmt.Errorf("shard %d: %s knows of no leader", copies[i].Shard, copies[i].Instance)
		}
		if s.primary() {
			primaries = append(primaries, copies[i])
		}
	}
	if len(primaries) != 1 {
		return copyOf{}, fmt.Errorf("shard %d has %d primaries", copies[0].Shard, len(primaries))
	}
	return primaries[0], nil
}

// allStream asks the primary itself: Patroni also calls a replica running that does not replicate.
func (t *Target) allStream(ctx context.Context, primary copyOf, standbys int) error {
	streaming, err := query(ctx, t, "count the standbys that stream", primary,
		`SELECT count(*)::int FROM pg_stat_replication WHERE state = 'streaming'`, pgx.RowTo[int])
	if err != nil {
		return err
	}
	if streaming[0] < standbys {
		return fmt.Errorf("shard %d: %d of %d standbys stream from %s", primary.Shard, streaming[0], standbys, primary.Instance)
	}
	return nil
}
