package batcher

import (
	"cmp"
	"math"
	"slices"
)

const (
	// overrunPart is how long a Batch that has not ended when it was expected to is believed to need still, in parts of what
	// was expected; when it has taken twice as long, nothing is expected any more.
	overrunPart = 8
	// activePatience is how long a user counts after its last Batch, in times that its requests wait.
	activePatience = 4
	// turnPart is the part of the others' patience that a Batch may hold the device, as its inverse: they wait for its end,
	// and then need as long themselves.
	turnPart = 2
	// gapMemory is over how many Batches the wait for a turn is averaged.
	gapMemory = 8
	// usedMemory is over how many nanoseconds it is averaged who has used the device.
	usedMemory = 200e6
)

// Turns says when a device is free for one of the users that share it, and whose turn it is then. The time that a user has
// had the device, divided by its weight, is what it has paid; who has paid least goes first (start-time fair queueing,
// Goyal et al., SIGCOMM 1996, with lengths that are known afterwards). Time in which a user asked for nothing is no
// credit. Nobody is kept from the device: a user that cannot wait for its turn begins all the same, and pays for it.
//
// It is a pure core like a Policy, and not safe for concurrent use. Times are of one clock, which never goes back.
type Turns[U cmp.Ordered] struct {
	users map[U]*user
	// price is what whoever began last had paid.
	price float64
	// accounted is up to when the flights' time alone is counted.
	accounted int64
}

type user struct {
	weight, paid float64
	// used is the time that it had the device, of which what is long ago counts less.
	used    float64
	flights map[uint64]*flight
	// patience is how long its requests are ready to wait, gap how long its batches wait for their turn; active is when it last
	// had to do with the device, since when it waits.
	patience      int64
	gap           float64
	active, since int64
	waits         bool
}

// flight is a Batch on the device.
type flight struct {
	begin, expected int64
	// alone is how long it would have had the device by now if nobody else had.
	alone float64
}

// NewTurns is of a device that is idle.
func NewTurns[U cmp.Ordered]() *Turns[U] { return &Turns[U]{users: make(map[U]*user)} }

// Join adds a user, or changes its weight, which is more than 0.
func (t *Turns[U]) Join(name U, weight float64) {
	if u := t.users[name]; u != nil {
		u.weight = weight
		return
	}
	t.users[name] = &user{weight: weight, flights: make(map[uint64]*flight)}
}

// Leave forgets a user, with what it runs.
func (t *Turns[U]) Leave(name U) { delete(t.users, name) }

// Ask says whether a user waits for its turn, and how long its requests are ready to wait; 0: as before.
func (t *Turns[U]) Ask(name U, now int64, waits bool, patience int64) {
	u := t.users[name]
	if u == nil {
		return
	}
	if waits && !u.waits {
		u.since = now
	}
	if waits {
		u.active = now
	}
	u.waits = waits
	if patience > 0 {
		u.patience = patience
	}
}

// Begin says that a user's Batch has the device from now on, for an expected time; 0: nobody knows.
func (t *Turns[U]) Begin(name U, batch uint64, now, expected int64) {
	u := t.users[name]
	if u == nil {
		return
	}
	t.account(now)
	waited := 0.0
	if u.waits {
		waited = float64(now - u.since)
	}
	u.gap += (waited - u.gap) / gapMemory
	u.waits, u.active = false, now
	u.paid = max(u.paid, t.price)
	t.price = u.paid
	if expected == 0 {
		expected = u.patience / (2 * turnPart)
	}
	u.flights[batch] = &flight{begin: now, expected: expected}
}

// End says that a Batch has left the device, and returns how long it would have had it alone: 0 for one that is not known.
func (t *Turns[U]) End(name U, batch uint64, now int64) (alone int64) {
	u := t.users[name]
	if u == nil || u.flights[batch] == nil {
		return 0
	}
	t.account(now)
	f := u.flights[batch]
	delete(u.flights, batch)
	u.active = now
	u.paid += float64(now-f.begin) / u.weight
	return int64(f.alone)
}

// account adds what has passed: users at once have the device by their weights.
func (t *Turns[U]) account(now int64) {
	passed := float64(now - t.accounted)
	t.accounted = now
	weights := 0.0
	for _, u := range t.users {
		if len(u.flights) > 0 {
			weights += u.weight
		}
	}
	for _, u := range t.users {
		u.used *= math.Exp(-passed / usedMemory)
		if len(u.flights) > 0 {
			u.used += passed * u.weight / weights
		}
		for _, f := range u.flights {
			f.alone += passed * u.weight / weights
		}
	}
}

// Share is what a user's Policy has to know of the others.
func (t *Turns[U]) Share(name U, now int64) Share {
	u := t.users[name]
	if u == nil {
		return Share{}
	}
	var shared Share
	for other, o := range t.users {
		if other == name {
			continue
		}
		for _, f := range o.flights {
			shared.Until = max(shared.Until, f.until(now))
		}
		if o.patience == 0 || now-o.active > activePatience*o.patience {
			continue
		}
		if turn := u.turn(o); shared.Turn == 0 || turn < shared.Turn {
			shared.Turn = turn
		}
		shared.Gap = int64(u.gap)
	}
	return shared
}

// turn is how long a Batch of u may hold the device so that those of another are on time: less where u has less weight, and
// has used more than its part. The square root is between those who keep the other's part whatever it costs, and those who
// have the device do most.
func (u *user) turn(other *user) int64 {
	part := 1.0
	if u.used*other.weight > other.used*u.weight {
		part = math.Sqrt(min(1, u.weight/other.weight))
	}
	return max(1, int64(part*float64(other.patience/turnPart)))
}

// until is when a flight is expected to end.
func (f *flight) until(now int64) int64 {
	end := f.begin + f.expected
	if f.expected > 0 && end <= now && now < end+f.expected {
		return now + max(f.expected/overrunPart, 1)
	}
	return end
}

// Waiting lists who waits, in the order of their turns.
func (t *Turns[U]) Waiting() []U {
	var waiting []U
	for name, u := range t.users {
		if u.waits {
			waiting = append(waiting, name)
		}
	}
	slices.SortFunc(waiting, func(a, b U) int {
		one, other := t.users[a], t.users[b]
		return cmp.Or(
			cmp.Compare(max(one.paid, t.price), max(other.paid, t.price)), cmp.Compare(one.since, other.since), cmp.Compare(a, b),
		)
	})
	return waiting
}
