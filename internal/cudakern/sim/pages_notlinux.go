//go:build unix && !linux

package sim

const noReserve = 0 // these systems commit anonymous pages lazily anyway
