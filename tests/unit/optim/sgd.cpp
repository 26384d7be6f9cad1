// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/optim/sgd.hpp>

#include <headgate/core/matrix.hpp>

#include "support/catch.hpp"

#include <cmath>

namespace hg = headgate;
using headgate_test::contains;

namespace {

struct module {
  struct gradients {
    hg::matrix<double> weight, bias;
  };
  hg::matrix<double> weight = hg::matrix<double>::Constant(3, 5, 2.0);
  hg::matrix<double> bias = hg::matrix<double>::Constant(1, 3, 2.0);

  template <class G, class F>
  void for_each_parameter(G& grads, F&& f) {
    f("weight", weight, grads.weight);
    f("bias", bias, grads.bias);
  }
};

module::gradients constant_gradient(double value) {
  return {hg::matrix<double>::Constant(3, 5, value), hg::matrix<double>::Constant(1, 3, value)};
}

}  // namespace

TEST_CASE("sgd without momentum subtracts rate times gradient", "[optim][sgd]") {
  module m;
  hg::sgd<double> sgd{.rate = 0.25};
  sgd.step(m, constant_gradient(4.0));
  CHECK((m.weight.array() == 1.0).all());
  CHECK((m.bias.array() == 1.0).all());
}

TEST_CASE("sgd with momentum follows the closed form for a constant gradient", "[optim][sgd]") {
  // v_t = g (1 - mu^t) / (1 - mu), hence w_t = w_0 - rate g (t - mu (1 - mu^t) / (1 - mu)) / (1 - mu).
  const double rate = 0.1, mu = 0.9, g = 0.5;
  module m;
  hg::sgd<double> sgd{.rate = rate, .momentum = mu};
  const auto grads = constant_gradient(g);
  for (int t = 1; t <= 50; ++t) {
    sgd.step(m, grads);
    const double expected = 2.0 - rate * g / (1 - mu) * (t - mu * (1 - std::pow(mu, t)) / (1 - mu));
    CAPTURE(t);
    CHECK(m.weight(2, 4) == Approx(expected).epsilon(1e-12));
    CHECK(m.bias(0, 0) == Approx(expected).epsilon(1e-12));
  }
}

TEST_CASE("sgd with Nesterov's momentum looks one velocity ahead", "[optim][sgd]") {
  module m;
  hg::sgd<double> sgd{.rate = 0.1, .momentum = 0.5, .nesterov = true};
  const auto grads = constant_gradient(1.0);
  sgd.step(m, grads);  // v = 1,   direction 1 + 0.5 * 1
  CHECK(m.weight(0, 0) == Approx(2.0 - 0.15).epsilon(1e-14));
  sgd.step(m, grads);  // v = 1.5, direction 1 + 0.5 * 1.5
  CHECK(m.weight(0, 0) == Approx(2.0 - 0.15 - 0.175).epsilon(1e-14));
}

TEST_CASE("sgd adds weight decay to the gradient where the predicate says so", "[optim][sgd]") {
  module m;
  hg::sgd<double> sgd{.rate = 0.5, .weight_decay = 0.25, .decays = hg::decay_matrices};
  sgd.step(m, constant_gradient(1.0));
  CHECK((m.weight.array() == 2.0 - 0.5 * (1.0 + 0.25 * 2.0)).all());
  CHECK((m.bias.array() == 2.0 - 0.5).all());
}

TEST_CASE("sgd takes a new rate between steps and combines modules in one walk", "[optim][sgd]") {
  module one, two;
  const auto grads = constant_gradient(1.0);
  hg::sgd<double> sgd{.rate = 0.5};
  const auto both = [&](auto&& update) {
    one.for_each_parameter(grads, update);
    two.for_each_parameter(grads, update);
  };
  sgd.step(both);
  sgd.rate = 0.25;
  sgd.step(both);
  CHECK((one.weight.array() == 1.25).all());
  CHECK((two.bias.array() == 1.25).all());
}

TEST_CASE("sgd with momentum reaches the minimum of an ill-conditioned quadratic", "[optim][sgd]") {
  // f(w) = (w0^2 + 100 w1^2) / 2 with the best rate and momentum for eigenvalues 1 and 100 (Polyak's).
  const double root = 10.0;
  const double mu = std::pow((root - 1) / (root + 1), 2);
  const double rate = 4.0 / ((root + 1) * (root + 1));
  hg::matrix<double> w(1, 2), dw(1, 2);
  w << 3.0, -2.0;
  hg::sgd<double> sgd{.rate = rate, .momentum = mu};
  for (int step = 0; step < 300; ++step) {
    dw << w(0, 0), 100.0 * w(0, 1);
    sgd.step([&](auto&& update) { update("w", w, dw); });
  }
  CHECK(w.norm() < 1e-20);
}

TEST_CASE("sgd refuses options outside their range and changes nothing", "[optim][sgd]") {
  module m;
  const auto grads = constant_gradient(1.0);
  CHECK_THROWS_WITH(hg::sgd<double>{.rate = -1.0}.step(m, grads),
                    "sgd: rate is -1, it must be a finite number of at least 0");
  CHECK_THROWS_WITH(hg::sgd<double>{.rate = std::nan("")}.step(m, grads), contains("sgd: rate is"));
  CHECK_THROWS_WITH(hg::sgd<double>{.momentum = 1.0}.step(m, grads),
                    "sgd: momentum is 1, it must be at least 0 and below 1");
  CHECK_THROWS_WITH(hg::sgd<double>{.weight_decay = -0.5}.step(m, grads), contains("sgd: weight_decay is -0.5"));
  CHECK_THROWS_WITH(hg::sgd<double>{.nesterov = true}.step(m, grads),
                    "sgd: nesterov is on and momentum is 0, it must be above 0");
  CHECK((m.weight.array() == 2.0).all());
}
