"""Events and the order in which a Stream gives them."""

import numpy as np
import pytest

from recon.events import Events, Stream


def events(times):
    """Events at these times; crystal1 numbers them."""
    number = np.arange(len(times), dtype=np.int16)
    return Events(ring1=number, crystal1=number, ring2=number, crystal2=number,
                  time_ms=np.array(times, np.int32), delayed=number % 2 == 1)


def times(chunks):
    return [chunk.time_ms.tolist() for chunk in chunks]


def test_arrays_of_other_lengths_are_refused():
    with pytest.raises(ValueError, match="arrays of one length"):
        Events(ring1=np.zeros(2), crystal1=np.zeros(2), ring2=np.zeros(2), crystal2=np.zeros(3),
               time_ms=np.zeros(2), delayed=np.zeros(2, bool))


def test_selected_events_are_those_of_the_mask_with_all_their_parts():
    chosen = events([5, 6, 7]).select(np.array([True, False, True]))
    assert (len(chosen), chosen.time_ms.tolist(), chosen.ring2.tolist()) == (2, [5, 7], [0, 2])
    assert chosen.tof_bin is None


def test_time_of_flight_bins_are_selected_too():
    timed = Events(**vars(events([1, 2])) | {"tof_bin": np.array([3, 4], np.int16)})
    assert timed.select(slice(1, None)).tof_bin.tolist() == [4]


def test_a_stream_gives_every_event_once_over_successive_times():
    stream = Stream([events([0, 1, 2]), events([2, 3, 7]), events([8])])
    assert times(stream.until(2)) == [[0, 1]]
    assert times(stream.until(3)) == [[2], [2]]
    assert times(stream.until(None)) == [[3, 7], [8]]
    assert times(stream.until(None)) == []


def test_a_stream_gives_nothing_for_a_time_without_events():
    stream = Stream([events([0, 9])])
    assert times(stream.until(1)) == [[0]]
    assert times(stream.until(5)) == []
    assert times(stream.until(10)) == [[9]]


def test_a_stream_reads_no_chunk_past_the_one_that_reaches_the_time():
    read = []

    def chunks():
        for time in (0, 1, 2):
            read.append(time)
            yield events([time])

    assert times(Stream(chunks()).until(1)) == [[0]]
    assert read == [0, 1]
