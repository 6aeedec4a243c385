package patroni

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/cutset-dev/cutset/framework/target"
)

// connectTimeout bounds the way to one server. A hung one still accepts connections.
const connectTimeout = time.Second

// Connect implements [target.Target].
func (t *Target) Connect(ctx context.Context, shard, number int, notice func(*pgconn.Notice)) (*pgx.Conn, error) {
	copies := t.copiesOf(shard)
	first := number % len(copies)
	config, err := t.connConfig(slices.Concat(copies[first:], copies[:first]), client, writable)
	if err != nil {
		return nil, err
	}
	config.OnNotice = func(_ *pgconn.PgConn, n *pgconn.Notice) { notice(n) }
	return pgx.ConnectConfig(ctx, config)
}

// Instances implements [target.Target].
func (t *Target) Instances(context.Context) (map[string]int, error) {
	shards := map[string]int{}
	for _, c := range t.copies {
		shards[c.Instance] = c.Shard
	}
	return shards, nil
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
	at := slices.IndexFunc(t.copies, func(c copyOf) bool { return c.Instance == instance })
	if at < 0 {
		return nil, fmt.Errorf("connect to %s: this deployment has no such instance", instance)
	}
	config, err := t.connConfig(t.copies[at:at+1], client, "")
	if err != nil {
		return nil, err
	}
	config.OnNotice = func(_ *pgconn.PgConn, n *pgconn.Notice) { notice(n) }
	return pgx.ConnectConfig(ctx, config)
}

// query asks one copy, whether it is a primary or not.
func query[R any](ctx context.Context, t *Target, what string, c copyOf, sql string, scan pgx.RowToFunc[R], args ...any) ([]R, error) {
	return probe(ctx, t, what, c.Instance, func(ctx context.Context) ([]R, error) {
		config, err := t.connConfig([]copyOf{c}, client, "")
		if err != nil {
			return nil, err
		}
		conn, err := pgx.ConnectConfig(ctx, config)
		if err != nil {
			return nil, err
		}
		defer conn.Close(ctx) //nolint:errcheck // nothing is lost with it
		rows, err := conn.Query(ctx, sql, args...)
		if err != nil {
			return nil, err
		}
		return pgx.CollectRows(rows, scan)
	})
}

// writable chooses the one of several servers that accepts writes.
const writable = "target_session_attrs=read-write"

// connConfig returns what it takes to connect to the first of the copies that has the attributes.
func (t *Target) connConfig(copies []copyOf, user, attributes string) (*pgx.ConnConfig, error) {
	hosts, ports := make([]string, len(copies)), make([]string, len(copies))
	for i, c := range copies {
		hosts[i], ports[i] = c.Host, fmt.Sprint(c.port())
	}
	config, err := pgx.ParseConfig(fmt.Sprintf("host=%s port=%s user=%s password=%s dbname=%s sslmode=disable application_name=cutset %s",
		strings.Join(hosts, ","), strings.Join(ports, ","), user, t.passwords[user], database, attributes))
	if err != nil {
		return nil, fmt.Errorf("connect to shard %d: %w", copies[0].Shard, err)
	}
	config.ConnectTimeout = connectTimeout
	config.DialFunc = t.cluster.Dial
	// Names mean something to the cluster's Dial, and nothing to this host.
	config.LookupFunc = func(_ context.Context, host string) ([]string, error) { return []string{host}, nil }
	return config, nil
}
