package faultcalc

import (
	"errors"
	"fmt"
	"strings"
)

// The sentinel errors of this package; find them with [errors.Is].
var (
	// ErrInvalid is wrapped by every [Problem] of a topology.
	ErrInvalid = errors.New("invalid topology")
	// ErrUnknownTable says that the topology has no table of that name.
	ErrUnknownTable = errors.New("unknown table")
	// ErrUnknownLevel says that no machine carries the label that was given
	// as the level, or that a machine of the table lacks it.
	ErrUnknownLevel = errors.New("unknown level")
	// ErrUnknownNode says that the model has no node of that name.
	ErrUnknownNode = errors.New("unknown node")
	// ErrTooWide says that shards have so many replicas under a quorum rule
	// that their minimal cut sets can't be listed.
	ErrTooWide = errors.New("too many minimal cut sets")
	// ErrTooLarge says that an exact figure outgrew its memory budget. It never
	// stands for a wrong figure: there is none then.
	ErrTooLarge = errors.New("the exact figure outgrew its memory budget")
	// ErrCutShort says that a list ends before its end, and may not have the
	// sets that come first.
	ErrCutShort = errors.New("the list is cut short")
	// ErrNotAny says that the published method was asked for a table with a
	// rule other than [RuleAny], for which it is not defined.
	ErrNotAny = errors.New("the published method is defined for rule any only")
	// ErrAlreadyUnavailable says that the table is unavailable before any
	// fault, so that no set of nodes can keep it available.
	ErrAlreadyUnavailable = errors.New("the table is already unavailable")
)

// Problem is one thing that is wrong with a topology.
type Problem struct {
	// Path leads to the value in the document, such as
	// tables[0].shards[2].replicas[1].role.
	Path string
	// Message says what is wrong and what to write instead.
	Message string
}

// Error returns the path and the message.
func (p *Problem) Error() string { return p.Path + ": " + p.Message }

// Unwrap returns [ErrInvalid].
func (p *Problem) Unwrap() error { return ErrInvalid }

// problems collects what is wrong, in document order.
type problems struct{ errs []error }

func (p *problems) add(path, format string, args ...any) {
	p.errs = append(p.errs, &Problem{Path: path, Message: fmt.Sprintf(format, args...)})
}

func (p *problems) err() error { return errors.Join(p.errs...) }

// oneOf lists the first few of the names that could be written instead.
func oneOf[S ~string](names []S) string {
	const most = 6
	if len(names) == 0 {
		return "(none is listed)"
	}
	var b strings.Builder
	for i, n := range names[:min(len(names), most)] {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(string(n))
	}
	if len(names) > most {
		fmt.Fprintf(&b, ", … (%d in all)", len(names))
	}
	return b.String()
}
