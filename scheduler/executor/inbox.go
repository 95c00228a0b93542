package executor

import (
	"sync"

	"sluice/scheduler"
)

// inbox gathers events for the core without ever making their sender wait. Of demand only the newest per Version
// is kept; other events come from Instances and deployments, whose number is bounded.
type inbox struct {
	wake chan struct{} // holds a token while there is something

	mutex   sync.Mutex
	events  []scheduler.Event
	demands map[scheduler.Key]scheduler.DemandChanged
}

func newInbox() *inbox {
	return &inbox{wake: make(chan struct{}, 1), demands: make(map[scheduler.Key]scheduler.DemandChanged)}
}

func (i *inbox) add(event scheduler.Event) {
	i.mutex.Lock()
	i.events = append(i.events, event)
	i.mutex.Unlock()
	i.ring()
}

func (i *inbox) demand(change scheduler.DemandChanged) {
	i.mutex.Lock()
	i.demands[change.Key] = change
	i.mutex.Unlock()
	i.ring()
}

func (i *inbox) ring() {
	select {
	case i.wake <- struct{}{}:
	default:
	}
}

// take empties the inbox: what happened first, then the newest demand.
func (i *inbox) take() []scheduler.Event {
	i.mutex.Lock()
	defer i.mutex.Unlock()
	events := i.events
	i.events = nil
	for key, change := range i.demands {
		events = append(events, change)
		delete(i.demands, key)
	}
	return events
}
