// Joints of a person in a photograph with ONNX Runtime:  pose_onnxruntime MODEL.onnx PHOTO.ppm X Y WIDTH HEIGHT
#include "pose.h"

#include <onnxruntime_cxx_api.h>

#include <exception>

int main(int count, char** words)
try {
    const auto call = pose::arguments(count, words);
    const Ort::Env environment(ORT_LOGGING_LEVEL_ERROR, "pose");
    Ort::SessionOptions options;
    options.SetIntraOpNumThreads(1);
    Ort::Session session(environment, call.model.c_str(), options);

    // A side that the file leaves free is -1.
    auto shape = session.GetInputTypeInfo(0).GetTensorTypeAndShapeInfo().GetShape();
    if (shape.size() != 4 || shape[1] != 3) throw std::runtime_error(call.model + " does not take (N, 3, H, W)");
    shape = {1, 3, shape[2] > 0 ? shape[2] : 256, shape[3] > 0 ? shape[3] : 192};

    const auto crop = pose::crop(call.photo, call.box, static_cast<int>(shape[2]), static_cast<int>(shape[3]));
    auto image = pose::to_input(crop);
    const auto memory = Ort::MemoryInfo::CreateCpu(OrtArenaAllocator, OrtMemTypeDefault);
    const auto input = Ort::Value::CreateTensor<float>(memory, image.data(), image.size(), shape.data(), shape.size());

    Ort::AllocatorWithDefaultOptions allocator;
    const auto input_name = session.GetInputNameAllocated(0, allocator);
    const auto output_name = session.GetOutputNameAllocated(0, allocator);
    const char *inputs[] = {input_name.get()}, *outputs[] = {output_name.get()};
    const auto found = session.Run(Ort::RunOptions(nullptr), inputs, &input, 1, outputs, 1);

    const auto maps = found[0].GetTensorTypeAndShapeInfo().GetShape();  // (1, joints, H / 4, W / 4)
    return pose::report(
        pose::decode(found[0].GetTensorData<float>(), static_cast<size_t>(maps.at(1)), crop), call.reference);
} catch (const std::exception& error) {
    std::fprintf(stderr, "pose_onnxruntime: %s\n", error.what());
    return 2;
}
