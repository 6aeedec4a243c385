package workload

import (
	"context"
	"crypto/rand"
	"fmt"

	"github.com/cutset-dev/cutset/framework/history"
	"github.com/cutset-dev/cutset/framework/target"
)

// Both make an empty list where there is none. A look is a write, too, as that at a register is.
const (
	appendItem = "INSERT INTO " + target.Lists + " AS l (key, items) VALUES ($1, ARRAY[$2::bigint]) " +
		"ON CONFLICT (key) DO UPDATE SET items = l.items || excluded.items"
	readList = "INSERT INTO " + target.Lists + " AS l (key, items, reads) VALUES ($1, '{}', 1) " +
		"ON CONFLICT (key) DO UPDATE SET reads = l.reads + 1 RETURNING items"
	itemsPerList = 50 // tried, so that lists stay short
)

// startLists sets a client to work on lists of one shard that no other case has.
func (c *Clients) startLists(ctx context.Context, traffic *Traffic, caseID string, shard int) {
	cl := &client{clients: c, caseID: caseID, shard: shard, kind: "list", served: traffic.shards[shard], suffix: rand.Text()[:8]}
	traffic.done.Go(func() { cl.work(ctx, c.profile.ListEvery) })
}

// chooseList takes turns: an append, a look. Every other look is at the list before, so that what becomes of its last items is seen.
func (c *client) chooseList(ctx context.Context, op *history.Op) {
	tried := c.turn / 2
	list := tried / itemsPerList
	if c.turn%2 == 0 {
		op.Kind, op.Value = history.OpAppend, c.clients.values.Add(1)
	} else {
		op.Kind, list = history.OpList, max(0, list-tried%2)
	}
	op.Key = fmt.Sprintf("l%d-%d-%s", c.shard, list+1, c.suffix)
	c.nextTurn(ctx)
}

// tryList does the operation on a connection.
func (c *client) tryList(ctx context.Context, op *history.Op) error {
	if op.Kind == history.OpAppend {
		_, err := c.conn.Exec(ctx, appendItem, op.Key, op.Value)
		return err
	}
	return c.conn.QueryRow(ctx, readList, op.Key).Scan(&op.Items)
}
