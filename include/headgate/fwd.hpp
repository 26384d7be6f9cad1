// SPDX-License-Identifier: BSD-3-Clause
// Declarations for headers that only name the library's types.
#pragma once

#include <headgate/config.hpp>

namespace headgate {
inline namespace HEADGATE_ABI {

template <class T>
struct view;
template <class T>
class scratch;
template <class T>
class array;
template <class T>
class weights;
template <class T>
struct assignment;
template <class T>
struct routing;
template <class T>
struct routing_gradient;
struct random_stream;
template <class Head, class Score, class Select, class Weigh>
struct gate;
template <class Gate, class Expert, class Shared>
class layer;
template <class Expert>
class dense_layer;

}  // namespace HEADGATE_ABI
}  // namespace headgate
