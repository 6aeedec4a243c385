package workload

import (
	"context"
	"crypto/rand"
	"fmt"

	"github.com/cutset-dev/cutset/framework/history"
	"github.com/cutset-dev/cutset/framework/target"
)

// Both make a register of value 0 where there is none. A get is a write, too, so that it is acknowledged only by who may acknowledge
// writes: what a plain read returns from a primary that was deposed and does not know it yet, no PostgreSQL promises to be fresh.
const (
	setRegister = "INSERT INTO " + target.Registers + " AS r (key, value) VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET value = excluded.value"
	getRegister = "INSERT INTO " + target.Registers + " AS r (key, value, reads) VALUES ($1, 0, 1) " +
		"ON CONFLICT (key) DO UPDATE SET reads = r.reads + 1 RETURNING value"
	// findAnew is after how many operations a client looks for the primary again, as applications do now and then: one that keeps its
	// connection would not meet a second primary.
	findAnew = 20
)

// startRegisters sets clients to work on registers of one shard that no other case has.
func (c *Clients) startRegisters(ctx context.Context, traffic *Traffic, caseID string, shard int) {
	suffix := rand.Text()[:8]
	keys := make([]string, c.profile.Registers)
	for i := range keys {
		keys[i] = fmt.Sprintf("s%d-%d-%s", shard, i+1, suffix)
	}
	for number := range keys {
		cl := &client{clients: c, caseID: caseID, shard: shard, number: number, kind: "register", served: traffic.shards[shard], keys: keys, turn: number}
		traffic.done.Go(func() { cl.work(ctx, c.profile.RegisterEvery) })
	}
}

// chooseRegister says what a client of registers does next: every other of them gets, and sets, each of its registers in turn.
func (c *client) chooseRegister(ctx context.Context, op *history.Op) {
	op.Kind, op.Key = history.OpGet, c.keys[c.turn/2%len(c.keys)]
	if c.turn%2 == 0 {
		op.Kind, op.Value = history.OpSet, c.clients.values.Add(1)
	}
	c.nextTurn(ctx)
}

// nextTurn counts the operation, and has the client look for the primary anew now and then.
func (c *client) nextTurn(ctx context.Context) {
	if c.turn++; c.turn%findAnew == 0 {
		c.disconnect(ctx)
		c.seek++
	}
}

// tryRegister does the operation on a connection.
func (c *client) tryRegister(ctx context.Context, op *history.Op) error {
	if op.Kind == history.OpSet {
		_, err := c.conn.Exec(ctx, setRegister, op.Key, op.Value)
		return err
	}
	return c.conn.QueryRow(ctx, getRegister, op.Key).Scan(&op.Value)
}
