// Package labelled takes a PostgreSQL for target that somebody else deployed on Kubernetes, whichever operator made it: what
// the pods' labels say is checked against what the servers say.
package labelled

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/cutset-dev/cutset/executor"
	"github.com/cutset-dev/cutset/faultcalc"
	"github.com/cutset-dev/cutset/framework/provider"
	"github.com/cutset-dev/cutset/framework/provider/existing"
	"github.com/cutset-dev/cutset/framework/provider/kube"
	"github.com/cutset-dev/cutset/framework/target"
)

// Pods is a cluster that knows the database's pods.
type Pods interface {
	provider.Cluster
	Pods(ctx context.Context) ([]kube.Pod, error)
	Preset() existing.Preset
	Secret(ctx context.Context, name string) (map[string]string, error)
	// Allowed returns nil when the run may write to the database and break it.
	Allowed() error
}

// Target implements [target.Target].
type Target struct {
	cluster  Pods
	preset   existing.Preset
	table    string
	commands *executor.Executor
	shards   []string // values of the preset's label, sorted: shard n is the n-th, from 1
	members  map[int]int
	accounts map[int]account
}

type account struct{ user, password, database string }

var _ target.Target = (*Target)(nil)

// SwitchOver implements [target.Target]: every operator has its own way, and none of them is known here.
func (t *Target) SwitchOver(_ context.Context, shard int, to string) error {
	return fmt.Errorf("switch shard %d over to %s: %w for a database that somebody else manages", shard, to, errors.ErrUnsupported)
}

// New looks at the pods that there are. All that it asks the servers goes through the executor, in the class "probe".
func New(ctx context.Context, cluster Pods, table string, commands *executor.Executor) (*Target, error) {
	preset := cluster.Preset()
	t := &Target{cluster: cluster, preset: preset, table: table, commands: commands, members: map[int]int{}, accounts: map[int]account{}}
	pods, err := cluster.Pods(ctx)
	if err != nil {
		return nil, err
	}
	for _, pod := range pods {
		value := pod.Labels[preset.Shard]
		if value == "" {
			return nil, fmt.Errorf("pod %s has no label %s; see -preset and -shard-label", pod.Name, preset.Shard)
		}
		if !slices.Contains(t.shards, value) {
			t.shards = append(t.shards, value)
		}
	}
	slices.Sort(t.shards)
	for _, pod := range pods {
		t.members[t.shardOf(pod)]++
	}
	for i, value := range t.shards {
		secret, err := cluster.Secret(ctx, fmt.Sprintf(preset.Secret, value))
		if err != nil {
			return nil, fmt.Errorf("account of shard %s, see -secret: %w", value, err)
		}
		t.accounts[i+1] = account{
			user: first(secret, "username", "user"), password: secret["password"], database: first(secret, "dbname", "database"),
		}
	}
	return t, nil
}

// first returns the first of the keys that has a value, or what a superuser's would be.
func first(values map[string]string, keys ...string) string {
	for _, key := range keys {
		if value := values[key]; value != "" && value != "*" {
			return value
		}
	}
	return "postgres"
}

func (t *Target) shardOf(pod kube.Pod) int {
	return 1 + slices.Index(t.shards, pod.Labels[t.preset.Shard])
}

// Deploy implements [target.Target] by making the table where it is missing. It is the first thing that takes leave.
func (t *Target) Deploy(ctx context.Context) error {
	if err := t.cluster.Allowed(); err != nil {
		return err
	}
	for i := range t.shards {
		conn, err := t.Connect(ctx, i+1, 0, func(*pgconn.Notice) {})
		if err != nil {
			return fmt.Errorf("make table cutset.%s on shard %d: %w", t.table, i+1, err)
		}
		_, err = conn.Exec(ctx, fmt.Sprintf(`
			CREATE SCHEMA IF NOT EXISTS cutset;
			CREATE TABLE IF NOT EXISTS cutset.%s (id bigint NOT NULL, at timestamptz NOT NULL DEFAULT clock_timestamp());
			CREATE INDEX IF NOT EXISTS cutset_by_id ON cutset.%[1]s (id);
			%s;`, pgx.Identifier{t.table}.Sanitize(), target.CreateBeside), pgx.QueryExecModeSimpleProtocol)
		if err = errors.Join(err, conn.Close(ctx)); err != nil {
			return fmt.Errorf("make table cutset.%s on shard %d: %w", t.table, i+1, err)
		}
	}
	return nil
}

// Entry implements [target.Target]: the API server is the one door.
func (t *Target) Entry() string { return "the Kubernetes API" }

// Table implements [target.Target].
func (t *Target) Table() target.Table {
	table := target.Table{Name: t.table}
	for i := range t.shards {
		table.Shards = append(table.Shards, i+1)
	}
	return table
}

// Primaries implements [target.Target].
func (t *Target) Primaries(ctx context.Context) (map[int]string, error) {
	pods, err := t.cluster.Pods(ctx)
	primaries := map[int]string{}
	for _, pod := range pods {
		if t.isPrimary(pod) {
			primaries[t.shardOf(pod)] = pod.Name
		}
	}
	return primaries, err
}

func (t *Target) isPrimary(pod kube.Pod) bool {
	return slices.Contains(t.preset.Primary, pod.Labels[t.preset.Role])
}

// Redundant implements [target.Target]: as many copies as there were at first, each of which may be promoted or was never to be.
func (t *Target) Redundant(ctx context.Context) error {
	topology, err := t.Discover(ctx, t.Entry())
	if err != nil {
		return err
	}
	for _, shard := range topology.Tables[0].Shards {
		up := 0
		for _, r := range shard.Replicas {
			if r.State == faultcalc.StateAvailable {
				up++
			}
		}
		if up < t.members[shard.Number] {
			return fmt.Errorf("shard %d: %d of %d copies are up and stream", shard.Number, up, t.members[shard.Number])
		}
	}
	return nil
}

// Connect implements [target.Target].
func (t *Target) Connect(ctx context.Context, shard, client int, notice func(*pgconn.Notice)) (*pgx.Conn, error) {
	pods, err := t.cluster.Pods(ctx)
	if err != nil {
		return nil, err
	}
	pods = slices.DeleteFunc(pods, func(p kube.Pod) bool { return t.shardOf(p) != shard || p.IP == "" })
	if len(pods) == 0 {
		return nil, fmt.Errorf("connect to shard %d: it has no pod with an address", shard)
	}
	at := client % len(pods)
	config, err := t.config(shard, slices.Concat(pods[at:], pods[:at])...)
	if err != nil {
		return nil, err
	}
	config.ValidateConnect = pgconn.ValidateConnectTargetSessionAttrsReadWrite
	config.OnNotice = func(_ *pgconn.PgConn, n *pgconn.Notice) { notice(n) }
	return pgx.ConnectConfig(ctx, config)
}

// Instances implements [target.Target].
func (t *Target) Instances(ctx context.Context) (map[string]int, error) {
	pods, err := t.cluster.Pods(ctx)
	shards := map[string]int{}
	for _, pod := range pods {
		shards[pod.Name] = t.shardOf(pod)
	}
	return shards, err
}

// Events implements [target.Target].
func (t *Target) Events(ctx context.Context, since time.Time) ([]target.Event, error) {
	shards, err := t.Instances(ctx)
	if err != nil {
		return nil, err
	}
	return target.ReadEvents(t.cluster, shards, since)
}

// ConnectTo implements [target.Target].
func (t *Target) ConnectTo(ctx context.Context, instance string, notice func(*pgconn.Notice)) (*pgx.Conn, error) {
	pods, err := t.cluster.Pods(ctx)
	if err != nil {
		return nil, err
	}
	at := slices.IndexFunc(pods, func(p kube.Pod) bool { return p.Name == instance && p.IP != "" })
	if at < 0 {
		return nil, fmt.Errorf("connect to %s: there is no such pod with an address", instance)
	}
	config, err := t.config(t.shardOf(pods[at]), pods[at])
	if err != nil {
		return nil, err
	}
	config.OnNotice = func(_ *pgconn.PgConn, n *pgconn.Notice) { notice(n) }
	return pgx.ConnectConfig(ctx, config)
}

// config returns what it takes to connect to the first of the pods that answers.
func (t *Target) config(shard int, pods ...kube.Pod) (*pgx.ConnConfig, error) {
	config, err := pgx.ParseConfig("application_name=cutset sslmode=prefer")
	if err != nil {
		return nil, err
	}
	a := t.accounts[shard]
	config.User, config.Password, config.Database = a.user, a.password, a.database
	config.Fallbacks = nil
	for i, pod := range pods {
		if i == 0 {
			config.Host, config.Port, config.TLSConfig = pod.IP, uint16(pod.Port), nil
			continue
		}
		config.Fallbacks = append(config.Fallbacks, &pgconn.FallbackConfig{Host: pod.IP, Port: uint16(pod.Port)})
	}
	config.ConnectTimeout = 2 * time.Second // through the API server, it takes some round trips
	config.DialFunc = t.cluster.Dial
	return config, nil
}

// ask runs one look at a pod's server through the executor.
func ask[R any](ctx context.Context, t *Target, what string, pod kube.Pod, sql string, scan pgx.RowToFunc[R]) ([]R, error) {
	return executor.Do(ctx, t.commands, executor.Command[[]R]{
		Name: what, Class: "probe", Target: pod.Name, Idempotent: true,
		Run: func(ctx context.Context, _ executor.Attempt) ([]R, error) {
			config, err := t.config(t.shardOf(pod), pod)
			if err != nil {
				return nil, err
			}
			conn, err := pgx.ConnectConfig(ctx, config)
			if err != nil {
				return nil, err
			}
			defer conn.Close(ctx) //nolint:errcheck // nothing is lost with it
			rows, err := conn.Query(ctx, sql)
			if err != nil {
				return nil, err
			}
			return pgx.CollectRows(rows, scan)
		},
		Classify: func(error) executor.Verdict { return executor.VerdictAnswer },
	})
}
