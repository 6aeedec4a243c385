package patroni

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"github.com/cutset-dev/cutset/framework/target"
)

// paused is the key of Patroni's dynamic configuration that `patronictl pause` sets.
const paused = "pause"

// Deploy implements [target.Target].
func (t *Target) Deploy(ctx context.Context) error {
	if err := t.runs.prepare(ctx); err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	for _, s := range t.placement.Shards {
		group.Go(func() error { return t.deployShard(ctx, s.Number) })
	}
	return group.Wait()
}

// deployShard starts the shard's first member alone, so that it is the one that becomes primary, then the others; where a controller
// starts them all at once, the first is made primary afterwards.
func (t *Target) deployShard(ctx context.Context, shard int) error {
	copies := t.copiesOf(shard)
	if err := t.runs.start(ctx, copies[0]); err != nil {
		return err
	}
	err := wait(ctx, fmt.Sprintf("shard %d to have a primary", shard), glance, func(ctx context.Context) error {
		return t.hasPrimary(ctx, shard)
	})
	if err != nil {
		return err
	}
	group, within := errgroup.WithContext(ctx)
	for _, c := range copies[1:] {
		group.Go(func() error { return t.runs.start(within, c) })
	}
	group.Go(func() error { return t.createSchema(within, shard) })
	if err := group.Wait(); err != nil {
		return err
	}
	redundant := func(ctx context.Context) error { return t.shardRedundant(ctx, shard) }
	if err := wait(ctx, fmt.Sprintf("shard %d to be redundant", shard), glance, redundant); err != nil {
		return err
	}
	err = wait(ctx, fmt.Sprintf("%s to be shard %d's primary", copies[0].Instance, shard), change, func(ctx context.Context) error {
		if err := t.SwitchOver(ctx, shard, copies[0].Instance); err != nil {
			return err
		}
		return redundant(ctx)
	})
	if err != nil {
		return err
	}
	if pause, ok := t.placement.Patroni.Config[paused]; ok {
		return t.patch(ctx, copies[0], map[string]any{paused: pause})
	}
	return nil
}

func (t *Target) hasPrimary(ctx context.Context, shard int) error {
	view, err := t.view(ctx, shard)
	if err == nil && !slices.ContainsFunc(view.Members, func(m member) bool { return m.leads() && m.runs() }) {
		err = errors.New("none of its members leads")
	}
	return err
}

// createSchema makes the client's account, the table, and the catalogue through which discovery finds the
// other shards.
func (t *Target) createSchema(ctx context.Context, shard int) error {
	copies := t.copiesOf(shard)
	config, err := t.connConfig(copies, superuser, writable)
	if err != nil {
		return err
	}
	// A primary that was made a moment ago may be restarted once more, with the parameters of its shard.
	return wait(ctx, fmt.Sprintf("shard %d to take its schema", shard), change, func(ctx context.Context) error {
		_, err := probe(ctx, t, "create the schema", copies[0].Instance, func(ctx context.Context) (struct{}, error) {
			conn, err := pgx.ConnectConfig(ctx, config)
			if err != nil {
				return struct{}{}, err
			}
			defer conn.Close(ctx) //nolint:errcheck // nothing is lost with it
			_, err = conn.Exec(ctx, t.schema(shard), pgx.QueryExecModeSimpleProtocol)
			return struct{}{}, err
		})
		return err
	})
}

func (t *Target) schema(shard int) string {
	table := t.Table()
	remainder := 0
	for i, number := range table.Shards {
		if number == shard {
			remainder = i
		}
	}
	rows := make([]string, 0, len(t.copies))
	for _, c := range t.copies {
		rows = append(rows, fmt.Sprintf("('%s', %d, '%s', '%s', '%s')", table.Name, c.Shard, c.Instance, c.server(), c.rest()))
	}
	// One transaction, and all of it again if it is retried. The id has no unique constraint: a
	// write that is applied twice has to be seen, not refused.
	return fmt.Sprintf(`
		BEGIN;
		DROP ROLE IF EXISTS %[1]s;
		CREATE ROLE %[1]s LOGIN PASSWORD '%[2]s';
		CREATE SCHEMA cutset AUTHORIZATION %[1]s;
		CREATE TABLE cutset.copies (table_name text, shard int, instance text, server text, rest text);
		INSERT INTO cutset.copies VALUES %[3]s;
		GRANT SELECT ON cutset.copies TO %[1]s;
		GRANT pg_monitor TO %[1]s;
		CREATE TABLE cutset.%[4]s (id bigint NOT NULL CHECK (id %% %[5]d = %[6]d), at timestamptz NOT NULL DEFAULT clock_timestamp());
		CREATE INDEX ON cutset.%[4]s (id);
		GRANT SELECT, INSERT ON cutset.%[4]s TO %[1]s;
		%[7]s;
		GRANT SELECT, INSERT, UPDATE ON %[8]s, %[9]s, %[10]s TO %[1]s;
		COMMIT;`,
		client, t.passwords[client], strings.Join(rows, ", "), table.Name, len(table.Shards), remainder,
		target.CreateBeside, target.Registers, target.Lists, target.Accounts)
}

// How long one look may take, and one change that the database makes by itself.
const (
	glance = 2 * time.Second
	change = 20 * time.Second
)

// wait tries until the check passes or the context ends, with so much patience for each try; the error says what was seen last.
func wait(ctx context.Context, what string, patience time.Duration, check func(ctx context.Context) error) error {
	const every = 100 * time.Millisecond
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		within, cancel := context.WithTimeout(ctx, patience)
		err := check(within)
		cancel()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for %s: %w; last seen: %w", what, context.Cause(ctx), err)
		case <-tick.C:
		}
	}
}
