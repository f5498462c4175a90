//go:build unix && !linux

package cpukern

const mapNoReserve = 0 // these systems commit anonymous pages lazily anyway

func physicalMemory() int64 { return unknownMemory }

func discard([]byte) bool { return false } // elsewhere the advice does not promise zeros

func largePages([]byte) {} // these systems choose the size of pages themselves
