// SPDX-License-Identifier: BSD-3-Clause
// The MoE block of one layer of a checkpoint, of whatever family the checkpoint says.
#pragma once

#include <headgate/config.hpp>
#include <headgate/core/error.hpp>
#include <headgate/core/matrix.hpp>
#include <headgate/io/moe_block.hpp>
#include <headgate/io/refuse_file.hpp>
#include <headgate/models/published.hpp>
#include <headgate/parallel/executor_ref.hpp>
#include <headgate/parallel/sequential.hpp>
#include <headgate/routing/plan.hpp>
#include <headgate/routing/routing.hpp>
#include <headgate/routing/steering.hpp>

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace headgate {
inline namespace HEADGATE_ABI {

/// A `moe_block` behind one type: the family is known at run time. Inference; for training take the block out (`get`).
///
///   const hg::any_moe_block block = hg::open_moe_block("DIR", 0);
///   hg::matrix<float> y = block(x);
///
/// Compiles all families: a program that knows its own compiles faster with `load_moe_block`.
class any_moe_block {
 public:
  /// Memory of a pass, reused by the next pass of the same block. One thread at a time may use it.
  class workspace {
   public:
    headgate::steering<float> steering;  ///< of the next pass (docs/routing-tools.md)

    /// Who went where in the last pass, and on which slots.
    [[nodiscard]] const headgate::routing<float>& routing() const { return memory().routing(); }
    [[nodiscard]] const dispatch_plan& plan() const { return memory().plan(); }

   private:
    friend class any_moe_block;
    struct any_memory {
      virtual ~any_memory() = default;
      [[nodiscard]] virtual const headgate::routing<float>& routing() const = 0;
      [[nodiscard]] virtual const dispatch_plan& plan() const = 0;
    };
    [[nodiscard]] const any_memory& memory() const {
      if (!memory_) refuse("any_moe_block: the workspace holds no pass yet");
      return *memory_;
    }
    std::unique_ptr<any_memory> memory_;
  };

  template <loadable_family Family>
  explicit any_moe_block(moe_block<Family, float> block)
      : block_(std::make_unique<block_of<Family>>(std::move(block))) {}

  [[nodiscard]] std::string_view family() const { return block_->family(); }
  [[nodiscard]] const std::string& prefix() const { return block_->prefix(); }
  [[nodiscard]] index model() const { return block_->model(); }
  [[nodiscard]] index outputs() const { return block_->outputs(); }
  [[nodiscard]] index experts() const { return block_->experts(); }
  /// Number of values in all parameters.
  [[nodiscard]] index parameters() const { return block_->parameters(); }

  /// Inference into a new matrix. Allocates; `forward` with a workspace does not.
  [[nodiscard]] matrix<float> operator()(in<float> x) const {
    workspace memory;
    matrix<float> y;
    forward(x, y, memory);
    return y;
  }
  /// As `layer::forward`: y (tokens x outputs) from x (tokens x model), y is resized.
  void forward(executor_ref executor, in<float> x, matrix<float>& y, workspace& memory) const {
    block_->forward(executor, x, y, memory);
  }
  void forward(in<float> x, matrix<float>& y, workspace& memory) const { forward(run_sequentially, x, y, memory); }

  /// As `moe_block::save`.
  void save(const std::filesystem::path& path) const { block_->save(path); }

  /// The block itself if it is of this family, else nullptr.
  template <loadable_family Family>
  [[nodiscard]] moe_block<Family, float>* get() {
    auto* const found = dynamic_cast<block_of<Family>*>(block_.get());
    return found ? &found->block : nullptr;
  }

 private:
  struct any_block {
    virtual ~any_block() = default;
    [[nodiscard]] virtual std::string_view family() const = 0;
    [[nodiscard]] virtual const std::string& prefix() const = 0;
    [[nodiscard]] virtual index model() const = 0;
    [[nodiscard]] virtual index outputs() const = 0;
    [[nodiscard]] virtual index experts() const = 0;
    [[nodiscard]] virtual index parameters() const = 0;
    virtual void forward(executor_ref executor, in<float> x, matrix<float>& y, workspace& memory) const = 0;
    virtual void save(const std::filesystem::path& path) const = 0;
  };

  template <class Family>
  struct block_of final : any_block {
    using layer_workspace = typename moe_block<Family, float>::workspace;
    struct memory_of final : workspace::any_memory {
      layer_workspace memory;
      [[nodiscard]] const headgate::routing<float>& routing() const override { return memory.routing; }
      [[nodiscard]] const dispatch_plan& plan() const override { return memory.plan; }
    };

    moe_block<Family, float> block;

    explicit block_of(moe_block<Family, float> from) : block(std::move(from)) {}
    [[nodiscard]] std::string_view family() const override { return Family::name; }
    [[nodiscard]] const std::string& prefix() const override { return block.prefix(); }
    [[nodiscard]] index model() const override { return block.model(); }
    [[nodiscard]] index outputs() const override { return block.outputs(); }
    [[nodiscard]] index experts() const override { return block.experts(); }
    [[nodiscard]] index parameters() const override {
      index count = 0;
      block.for_each_tensor([&](std::string_view, const auto& w) { count += w.size(); });
      return count;
    }
    void forward(executor_ref executor, in<float> x, matrix<float>& y, workspace& memory) const override {
      auto* mine = dynamic_cast<memory_of*>(memory.memory_.get());
      if (mine == nullptr) {
        memory.memory_ = std::make_unique<memory_of>();
        mine = static_cast<memory_of*>(memory.memory_.get());
      }
      mine->memory.steering = memory.steering;
      block.forward(executor, x, y, mine->memory);
    }
    void save(const std::filesystem::path& path) const override { block.save(path); }
  };

  std::unique_ptr<any_block> block_;
};

namespace detail {

/// f(family) for the family that answers to the model's type. Refuses a type that none answers to.
template <class F>
void with_family_of(const model_folder& from, const F& f) {
  const std::string type = from.model_type();
  bool found = false;
  std::string known;
  for_each_family([&]<class Family>(const Family& family) {
    for (const std::string_view name : Family::model_types) known += sentence(known.empty() ? "" : ", ", name);
    if (found || !answers_to<Family>(type)) return;
    found = true;
    f(family);
  });
  if (!found) refuse_file(from.config().source(), "model_type is '", type, "', known are ", known);
}

}  // namespace detail

/// The name of the family that config.json names.
[[nodiscard]] inline std::string_view family_of(const model_folder& from) {
  std::string_view name;
  detail::with_family_of(from, [&]<class Family>(const Family&) { name = Family::name; });
  return name;
}

/// The MoE block of a layer, of the family that config.json names. Every fault of the files is a std::runtime_error of one
/// sentence.
[[nodiscard]] inline any_moe_block open_moe_block(const model_folder& from, index layer) {
  std::unique_ptr<any_moe_block> block;
  detail::with_family_of(from, [&]<class Family>(const Family&) {
    block = std::make_unique<any_moe_block>(load_moe_block<Family>(from, layer));
  });
  return std::move(*block);
}
[[nodiscard]] inline any_moe_block open_moe_block(const std::filesystem::path& folder, index layer) {
  return open_moe_block(model_folder(folder), layer);
}

/// True if this layer of the model has an MoE block.
[[nodiscard]] inline bool has_moe_block(const model_folder& from, index layer) {
  bool has = false;
  detail::with_family_of(from, [&]<class Family>(const Family&) { has = has_moe_block<Family>(from, layer); });
  return has;
}

}  // namespace HEADGATE_ABI
}  // namespace headgate
