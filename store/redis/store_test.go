package redis_test

import (
	"testing"

	"sluice/store/storetest"
)

func TestRegistry(t *testing.T) { storetest.RunRegistry(t, newServer(t).factory("")) }
func TestQueue(t *testing.T)    { storetest.RunQueue(t, newServer(t).factory("")) }
func TestCounters(t *testing.T) { storetest.RunCounters(t, newServer(t).factory("")) }
