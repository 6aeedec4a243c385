package workload

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/cutset-dev/cutset/framework/history"
	"github.com/cutset-dev/cutset/framework/target"
)

// chooseTransfer takes turns: a transfer, a sum.
func (c *client) chooseTransfer(op *history.Op) {
	op.Kind = history.OpSum
	if c.turn%2 == 0 {
		op.Kind, op.Value = history.OpTransfer, int64(1+c.turn/2%9)
	}
	c.turn++
}

// tryTransfer moves the amount from one account to another, in two statements of one transaction, or adds up all accounts.
func (c *client) tryTransfer(ctx context.Context, op *history.Op) error {
	if op.Kind == history.OpSum {
		return c.conn.QueryRow(ctx, "SELECT sum(balance)::bigint FROM "+target.Accounts).Scan(&op.Value)
	}
	from := c.turn / 2 % target.NumAccounts
	to := (from + 1) % target.NumAccounts
	return pgx.BeginFunc(ctx, c.conn, func(tx pgx.Tx) error {
		const move = "UPDATE " + target.Accounts + " SET balance = balance + $2 WHERE id = $1"
		if _, err := tx.Exec(ctx, move, from+1, -op.Value); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, move, to+1, op.Value)
		return err
	})
}
